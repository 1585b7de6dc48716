package profile

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/zalando/go-keyring"

	"earshot/protocol/identity"
)

// ring is a keyring in memory, which may have its troubles.
type ring struct {
	secrets map[string]string
	fails   error // of everything, if set
}

func newRing() *ring { return &ring{secrets: make(map[string]string)} }

func (r *ring) Get(service, user string) (string, error) {
	if r.fails != nil {
		return "", r.fails
	}
	secret, ok := r.secrets[service+"/"+user]
	if !ok {
		return "", keyring.ErrNotFound
	}
	return secret, nil
}

func (r *ring) Set(service, user, secret string) error {
	if r.fails != nil {
		return r.fails
	}
	r.secrets[service+"/"+user] = secret
	return nil
}

func (r *ring) Delete(service, user string) error {
	if r.fails != nil {
		return r.fails
	}
	delete(r.secrets, service+"/"+user)
	return nil
}

// opened is a profile in a directory of its own.
func opened(t *testing.T) Profile {
	t.Helper()
	p, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// keyOf is deviceKey that must succeed, and the public half of what it returns.
func keyOf(t *testing.T, p Profile, r *ring, wanted bool) (identity.PublicKey, string) {
	t.Helper()
	key, where, err := p.deviceKey(r, wanted)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public(), where
}

// The key is made once, and found wherever it was put, whatever is wished later.
func TestDeviceKeyStays(t *testing.T) {
	r := newRing()
	p := opened(t)
	first, where := keyOf(t, p, r, true)
	if where != WhereKeyring || len(r.secrets) != 1 {
		t.Fatalf("the key is in %s, and the keyring has %d", where, len(r.secrets))
	}
	if text, err := os.ReadFile(p.DeviceKeyFile()); err != nil || strings.Contains(string(text), "PRIVATE") {
		t.Errorf("the file says %q, %v", text, err)
	}
	if again, where := keyOf(t, p, r, true); again != first || where != WhereKeyring {
		t.Error("the key is another one at the second start")
	}
	// Without the keyring it moves to the file, and stays there.
	moved, where := keyOf(t, p, r, false)
	if moved != first || where != p.DeviceKeyFile() || len(r.secrets) != 0 {
		t.Errorf("moved to %s, with %d left in the keyring", where, len(r.secrets))
	}
	if back, where := keyOf(t, p, r, true); back != first || where != p.DeviceKeyFile() {
		t.Errorf("a key in the file is taken from %s", where)
	}
	if other, _ := keyOf(t, opened(t), r, true); other == first {
		t.Error("two profiles have one key")
	}
	if runtime.GOOS != "windows" {
		if info, err := os.Stat(p.DeviceKeyFile()); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key's file is %v, %v", info.Mode(), err)
		}
	}
}

// Others can't go on reading a file that was once open to them.
func TestDeviceKeyIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // where the mode says nothing
	}
	p := opened(t)
	first, _ := keyOf(t, p, newRing(), false)
	if err := os.Chmod(p.DeviceKeyFile(), 0o644); err != nil {
		t.Fatal(err)
	}
	if again, _ := keyOf(t, p, newRing(), false); again != first {
		t.Error("the key is another one")
	}
	if info, err := os.Stat(p.DeviceKeyFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file is %v, %v", info.Mode(), err)
	}
}

// A keyring that isn't there, or fails, is done without.
func TestDeviceKeyWithoutKeyring(t *testing.T) {
	r := newRing()
	r.fails = errors.New("no such bus")
	p := opened(t)
	first, where := keyOf(t, p, r, true)
	if where != p.DeviceKeyFile() {
		t.Fatalf("the key is in %s", where)
	}
	r.fails = nil
	if again, where := keyOf(t, p, r, true); again != first || where != p.DeviceKeyFile() {
		t.Error("a keyring that comes later changes the key")
	}
}

// A start that ended between keyring and file finds the key that it made.
func TestDeviceKeyAfterACrash(t *testing.T) {
	r := newRing()
	p := opened(t)
	first, _ := keyOf(t, p, r, true)
	if err := os.Remove(p.DeviceKeyFile()); err != nil {
		t.Fatal(err)
	}
	if again, where := keyOf(t, p, r, true); again != first || where != WhereKeyring {
		t.Errorf("the key is another one, in %s", where)
	}
}

// A key that was there and can't be had is never replaced by a new one.
func TestLostDeviceKey(t *testing.T) {
	spoil := map[string]func(t *testing.T, p Profile, r *ring){
		"keyring is locked": func(_ *testing.T, _ Profile, r *ring) { r.fails = errors.New("locked") },
		"keyring is empty":  func(_ *testing.T, _ Profile, r *ring) { clear(r.secrets) },
		"secret is damaged": func(_ *testing.T, _ Profile, r *ring) { damage(r, "-----BEGIN") },
		"secret is another": func(_ *testing.T, _ Profile, r *ring) { damage(r, string(identity.NewKey().MarshalPEM())) },
		"file is damaged":   func(t *testing.T, p Profile, _ *ring) { put(t, p.DeviceKeyFile(), []byte("-----BEGIN")) },
		"file is empty":     func(t *testing.T, p Profile, _ *ring) { put(t, p.DeviceKeyFile(), nil) },
		"note is damaged":   func(t *testing.T, p Profile, _ *ring) { put(t, p.DeviceKeyFile(), []byte(inKeyring+"XYZ")) },
		"file is a directory": func(t *testing.T, p Profile, _ *ring) {
			if err := errors.Join(os.Remove(p.DeviceKeyFile()), os.Mkdir(p.DeviceKeyFile(), 0o700)); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, spoil := range spoil {
		t.Run(name, func(t *testing.T) {
			r := newRing()
			p := opened(t)
			keyOf(t, p, r, true)
			spoil(t, p, r)
			for _, wanted := range []bool{true, false} {
				_, _, err := p.deviceKey(r, wanted)
				if !errors.Is(err, ErrDeviceKey) {
					t.Fatalf("got %v", err)
				}
				if strings.Contains(err.Error(), "PRIVATE") {
					t.Errorf("the key is in the error: %v", err)
				}
			}
		})
	}
}

func damage(r *ring, secret string) {
	for user := range r.secrets {
		r.secrets[user] = secret
	}
}

// A keyring that doesn't answer holds up a first start for two seconds, and one
// that has the key half a minute: somebody may be typing its password.
func TestSlowKeyring(t *testing.T) {
	r := newRing()
	known := opened(t)
	keyOf(t, known, r, true)
	fresh := opened(t)
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		slow := &slowRing{ring: r, stuck: stuck}
		defer close(stuck)
		if _, where, err := fresh.deviceKey(slow, true); err != nil || where != fresh.DeviceKeyFile() {
			t.Errorf("a first start puts the key into %s, %v", where, err)
		}
		if _, _, err := known.deviceKey(slow, true); !errors.Is(err, ErrDeviceKey) || !strings.Contains(err.Error(), "Unlock") {
			t.Errorf("got %v", err)
		}
	})
}

// slowRing answers once it is no longer stuck.
type slowRing struct {
	*ring
	stuck chan struct{}
}

func (r *slowRing) Get(service, user string) (string, error) {
	<-r.stuck
	return r.ring.Get(service, user)
}
