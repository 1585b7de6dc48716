package profile

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"

	"earshot/p2p/secure"
	"earshot/protocol/identity"
)

// fresh is a profile whose files a target writes.
func fresh(f *testing.F) Profile {
	p, err := Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	return p
}

func put(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func contentOf(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// FuzzCoordinators reads whatever may stand in coordinators.toml. A file that
// isn't understood is refused by its name: to go on without it would be to
// trust whoever answers. What is understood is still there after a new pin.
func FuzzCoordinators(f *testing.F) {
	const server, other = "chat.example:13277", "[2001:db8::7]:1"
	p := fresh(f)
	pin := secure.Pin{Fingerprint: identity.NewKey().Public().ID(), WebPKI: true}
	for _, s := range []string{other, server} {
		pins, err := p.Pins(s)
		if err != nil {
			f.Fatal(err)
		}
		if err := pins.Save(pin); err != nil {
			f.Fatal(err)
		}
		f.Add(contentOf(f, p.Coordinators()))
	}
	pins, err := p.Pins(server)
	if err != nil {
		f.Fatal(err)
	}
	if got, met := pins.Load(); !met || got != pin || len(pins.all) != 2 {
		f.Fatalf("the seed reads as %+v, %v", got, met)
	}
	f.Add([]byte("['" + server + "']\nfingerprint = 'K7QX'\n"))
	f.Add([]byte("['" + server + "']\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		put(t, p.Coordinators(), content)
		pins, err := p.Pins(server)
		if err != nil {
			if !strings.Contains(err.Error(), p.Coordinators()) {
				t.Fatal(err)
			}
			return
		}
		known, met := pins.Load()
		if met && known.Fingerprint == (identity.ID{}) && !strings.Contains(string(content), "AAAA") {
			t.Fatal("a coordinator is known by no fingerprint")
		}
		if err := pins.Save(pin); err != nil {
			t.Fatal(err)
		}
		again, err := p.Pins(server)
		if err != nil || len(again.all) != len(pins.all) {
			t.Fatalf("%q is written as %q: %v", content, contentOf(t, p.Coordinators()), err)
		}
		if got, met := again.Load(); !met || got != pin {
			t.Fatalf("the new pin reads as %+v, %v", got, met)
		}
		for name, was := range pins.all {
			if again.all[name] != was {
				t.Fatalf("%q was %+v, and is %+v", name, was, again.all[name])
			}
		}
	})
}

// drawer is a keyring with at most one secret.
type drawer struct{ secret *string }

func (d *drawer) Get(string, string) (string, error) {
	if d.secret == nil {
		return "", keyring.ErrNotFound
	}
	return *d.secret, nil
}

func (d *drawer) Set(_, _, secret string) error {
	d.secret = &secret
	return nil
}

func (d *drawer) Delete(string, string) error {
	d.secret = nil
	return nil
}

// FuzzDeviceKey reads whatever may stand in device.key and in the keyring: it
// is the key that was put there, or an error that leads to no other key.
func FuzzDeviceKey(f *testing.F) {
	p := fresh(f)
	for _, wanted := range []bool{false, true} {
		os.Remove(p.DeviceKeyFile())
		d := new(drawer)
		made, _, err := p.deviceKey(d, wanted)
		if err != nil {
			f.Fatal(err)
		}
		content, secret := contentOf(f, p.DeviceKeyFile()), []byte(nil)
		if d.secret != nil {
			secret = []byte(*d.secret)
		}
		if (secret != nil) != wanted {
			f.Fatalf("the keyring is wanted: %v, and holds %d bytes", wanted, len(secret))
		}
		if again, _, err := p.deviceKey(d, wanted); err != nil || again.Public() != made.Public() {
			f.Fatalf("the seed %q reads as %v, %v", content, again, err)
		}
		f.Add(content, secret, wanted)
		f.Add(content, []byte(nil), wanted)
		f.Add(content, made.MarshalPEM(), !wanted)
		f.Add(content, identity.NewKey().MarshalPEM(), wanted)
	}
	f.Fuzz(func(t *testing.T, content, secret []byte, wanted bool) {
		put(t, p.DeviceKeyFile(), content)
		text := string(secret)
		key, where, err := p.deviceKey(&drawer{&text}, wanted)
		if err != nil {
			if !errors.Is(err, ErrDeviceKey) || !key.IsZero() {
				t.Fatal(key, err)
			}
			if now := contentOf(t, p.DeviceKeyFile()); string(now) != string(content) {
				t.Fatalf("%q was overwritten with %q", content, now)
			}
			return
		}
		if where != WhereKeyring && where != p.DeviceKeyFile() {
			t.Fatalf("the key is in %q", where)
		}
		inFile, fileErr := identity.ParseKey(content)
		inRing, ringErr := identity.ParseKey(secret)
		if (fileErr != nil || key.Public() != inFile.Public()) && (ringErr != nil || key.Public() != inRing.Public()) {
			t.Fatalf("%q and %q have become another key", content, secret)
		}
		if again, _, err := p.deviceKey(&drawer{&text}, wanted); err != nil || again.Public() != key.Public() {
			t.Fatalf("next time the key is %v, %v", again, err)
		}
	})
}
