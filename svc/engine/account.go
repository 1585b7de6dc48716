package engine

import (
	"slices"
	"time"

	"earshot/protocol/identity"
)

// Limits of what is kept.
const (
	// MaxDevices is how many devices an account may have.
	MaxDevices = 16
	// maxRemoved is how many removed devices an account remembers; the oldest
	// is forgotten first.
	maxRemoved = 64
	// maxPending accounts may wait for an approval, so that strangers can't
	// fill the disk with them.
	maxPending  = 1000
	maxAccounts = 100_000
	// maxLabel and maxSignature are in bytes.
	maxLabel     = 512
	maxSignature = 128
	maxInvites   = 10_000
)

// Policy is who may have a new account.
type Policy string

// The policies.
const (
	PolicyOpen    Policy = "open"    // the first device that claims a name has it
	PolicyInvite  Policy = "invite"  // a device that shows the token of an invitation
	PolicyApprove Policy = "approve" // as open, once an administrator agrees; an invitation is an agreement
)

// ParsePolicy reads a policy. The error belongs to ErrPolicy.
func ParsePolicy(text string) (Policy, error) {
	p := Policy(text)
	if !slices.Contains([]Policy{PolicyOpen, PolicyInvite, PolicyApprove}, p) {
		return "", ErrPolicy
	}
	return p, nil
}

// Account is a name and the devices that speak for it. Accounts that an engine
// returns share their slices with it: they are to be read only.
type Account struct {
	Name string // as it was claimed; its classic.NameKey is what is unique
	// Pending is an account that an administrator has yet to approve.
	Pending bool
	Created time.Time
	// Devices are at most MaxDevices, in the order in which they came. An
	// account without any has been reset: its name can be claimed with an
	// invitation for that name only.
	Devices []Device
	// Removed are devices that were taken off the account, latest last.
	Removed []identity.PublicKey
}

// Device is one of an account's.
type Device struct {
	Key          identity.PublicKey
	Label        string // what its user calls it
	Added        time.Time
	Endorsements []Endorsement // by devices that let it join
}

// Endorsement is a device's word that another one is of the same account; see
// identity.Key.Endorse.
type Endorsement struct {
	By        identity.PublicKey
	Signature []byte
}

// check says whether the device is of a size that can be kept.
func (d Device) check() error {
	if len(d.Label) > maxLabel || len(d.Endorsements) > MaxDevices ||
		slices.ContainsFunc(d.Endorsements, func(e Endorsement) bool { return len(e.Signature) > maxSignature }) {
		return ErrDevice
	}
	return nil
}

// Device returns the account's device with a key.
func (a Account) Device(key identity.PublicKey) (Device, bool) {
	for _, d := range a.Devices {
		if d.Key == key {
			return d, true
		}
	}
	return Device{}, false
}

// with returns the account with one device more.
func (a Account) with(d Device) (Account, error) {
	if len(a.Devices) >= MaxDevices {
		return a, ErrTooManyDevices
	}
	a.Devices = append(slices.Clip(a.Devices), d)
	a.Removed = slices.DeleteFunc(slices.Clone(a.Removed), func(k identity.PublicKey) bool { return k == d.Key })
	return a, nil
}

// without returns the account without the devices that gone names.
func (a Account) without(gone func(Device) bool) Account {
	var kept []Device
	removed := slices.Clone(a.Removed)
	for _, d := range a.Devices {
		if gone(d) {
			removed = append(removed, d.Key)
		} else {
			kept = append(kept, d)
		}
	}
	a.Devices = kept
	a.Removed = removed[max(0, len(removed)-maxRemoved):]
	return a
}

// claim is everything on which the answer to a claim depends.
type claim struct {
	name   string
	device Device
	policy Policy
	now    time.Time
	// account is the one that has the name, if any has; owner says that the
	// device is one of its, elsewhere that it is another account's.
	account          Account
	exists           bool
	owner, elsewhere bool
	// invited: the token is good for the name. forName: and was made for it.
	invited, forName bool
	token            bool // one was shown
}

// decide returns what the account is to be, and whether the invitation is used
// up by it. The account is as it was if there is nothing to write.
func (c claim) decide() (after Account, spends bool, err error) {
	switch {
	case c.elsewhere:
		return Account{}, false, ErrOtherAccount
	case c.owner:
		if c.account.Pending && c.policy != PolicyOpen && !c.invited {
			return c.account, false, ErrPending
		}
		after = c.account
		after.Pending = false
		return after, c.account.Pending && c.invited, nil
	case c.exists:
		return c.join()
	}
	after = Account{Name: c.name, Created: c.now, Devices: []Device{c.device}}
	switch {
	case c.invited || c.policy == PolicyOpen:
		return after, c.invited, nil
	case c.policy == PolicyApprove:
		after.Pending = true
		return after, false, nil // Claim says ErrPending once it is stored
	case c.token:
		return Account{}, false, ErrInviteInvalid
	}
	return Account{}, false, ErrInviteNeeded
}

// join is for a device that claims a name which somebody has.
func (c claim) join() (Account, bool, error) {
	if c.forName {
		after, err := c.account.with(c.device)
		after.Pending = false
		return after, true, err
	}
	switch {
	case slices.Contains(c.account.Removed, c.device.Key):
		return Account{}, false, ErrRemoved
	case c.token && !c.invited:
		return Account{}, false, ErrInviteInvalid
	case len(c.account.Devices) == 0:
		return Account{}, false, ErrInviteNeeded
	}
	return Account{}, false, ErrTaken
}
