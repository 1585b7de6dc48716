package engine

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
)

// The records of the tables, and of a backup, as JSON. Fields may be added; a
// field that an older program must not overlook needs another recordVersion.
type (
	accountRecord struct {
		Name    string         `json:"name"`
		Pending bool           `json:"pending,omitempty"`
		Created time.Time      `json:"created"`
		Devices []deviceRecord `json:"devices,omitempty"`
		Removed [][]byte       `json:"removed,omitempty"`
	}
	deviceRecord struct {
		Key          []byte              `json:"key"`
		Label        string              `json:"label,omitempty"`
		Added        time.Time           `json:"added"`
		Endorsements []endorsementRecord `json:"endorsements,omitempty"`
	}
	endorsementRecord struct {
		By        []byte `json:"by"`
		Signature []byte `json:"signature"`
	}
	// invite is an invitation. Its key in the table is the token's hash, so
	// that nobody who reads the store, or a backup, is invited by that.
	invite struct {
		For     string    `json:"for,omitempty"` // a name's key; none: any new account
		Expires time.Time `json:"expires"`
		// UsedBy and UsedFor are the device's key and the name's key for which
		// it has been used. The same device may show it again for the same
		// name: perhaps it has never heard that it was let in.
		UsedBy  []byte `json:"used_by,omitempty"`
		UsedFor string `json:"used_for,omitempty"`
	}
)

var plain = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// recordKey is where a name's account is: a bucket takes few characters in a
// key, and not many of them.
func recordKey(nameKey string) string {
	sum := sha256.Sum256([]byte(nameKey))
	return plain.EncodeToString(sum[:])
}

// tokenKey is where a token's invitation is.
func tokenKey(token string) string {
	sum := sha256.Sum256([]byte("earshot invite 1\x00" + strings.ToUpper(strings.TrimSpace(token))))
	return plain.EncodeToString(sum[:])
}

func marshal(record any) []byte {
	b, err := json.Marshal(record)
	if err != nil {
		panic(err) // the records are made of texts, bytes and times of this age
	}
	return b
}

func (a Account) record() accountRecord {
	r := accountRecord{Name: a.Name, Pending: a.Pending, Created: a.Created}
	for _, d := range a.Devices {
		device := deviceRecord{Key: d.Key[:], Label: d.Label, Added: d.Added}
		for _, e := range d.Endorsements {
			device.Endorsements = append(device.Endorsements, endorsementRecord{e.By[:], e.Signature})
		}
		r.Devices = append(r.Devices, device)
	}
	for _, k := range a.Removed {
		r.Removed = append(r.Removed, k[:])
	}
	return r
}

// account reads and checks a record.
func (r accountRecord) account() (Account, error) {
	a := Account{Name: r.Name, Pending: r.Pending, Created: r.Created}
	if err := classic.ValidateName(r.Name); err != nil {
		return a, err
	}
	if len(r.Devices) > MaxDevices {
		return a, ErrTooManyDevices
	}
	for _, device := range r.Devices {
		key, err := identity.ParsePublicKey(device.Key)
		if err != nil {
			return a, err
		}
		d := Device{Key: key, Label: device.Label, Added: device.Added}
		for _, e := range device.Endorsements {
			by, err := identity.ParsePublicKey(e.By)
			if err != nil {
				return a, err
			}
			d.Endorsements = append(d.Endorsements, Endorsement{by, e.Signature})
		}
		if err := d.check(); err != nil {
			return a, err
		}
		a.Devices = append(a.Devices, d)
	}
	for _, k := range r.Removed {
		key, err := identity.ParsePublicKey(k)
		if err != nil {
			return a, err
		}
		a.Removed = append(a.Removed, key)
	}
	return a, nil
}

// contents are the tables, read. Guarded as their holder says.
type contents struct {
	accounts map[string]Account            // by name key
	owners   map[identity.PublicKey]string // each device's account, by name key
	invites  map[string]invite             // by token key
	pending  int                           // how many accounts wait
}

// read reads the records of both tables, and checks what must hold between
// them.
func read(accounts []accountRecord, invites map[string]invite) (contents, error) {
	c := contents{map[string]Account{}, map[identity.PublicKey]string{}, invites, 0}
	for key := range invites {
		if hash, err := plain.DecodeString(key); err != nil || len(hash) != sha256.Size {
			return c, fmt.Errorf("%q is no hash of a token", key)
		}
	}
	for _, r := range accounts {
		a, err := r.account()
		if err != nil {
			return c, fmt.Errorf("the account of %q: %w", r.Name, err)
		}
		key := classic.NameKey(a.Name)
		if _, twice := c.accounts[key]; twice {
			return c, fmt.Errorf("the account of %q is there twice", r.Name)
		}
		for _, d := range a.Devices {
			if _, twice := c.owners[d.Key]; twice {
				return c, fmt.Errorf("a device of %q is there twice", r.Name)
			}
			c.owners[d.Key] = key
		}
		c.set(key, a)
	}
	return c, nil
}

// set changes an account; one without a name is removed.
func (c *contents) set(key string, a Account) {
	before := c.accounts[key]
	if before.Pending {
		c.pending--
	}
	for _, d := range before.Devices {
		delete(c.owners, d.Key)
	}
	if a.Name == "" {
		delete(c.accounts, key)
		return
	}
	if a.Pending {
		c.pending++
	}
	for _, d := range a.Devices {
		c.owners[d.Key] = key
	}
	c.accounts[key] = a
}
