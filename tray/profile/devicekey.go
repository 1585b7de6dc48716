package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/zalando/go-keyring"

	"earshot/protocol/identity"
)

// ErrDeviceKey is the family of a device key that is there and can't be had.
// The errors are sentences that say what to do. None of them leads to a new
// key by itself: that would be the loss of the account.
var ErrDeviceKey = errors.New("device key")

// WhereKeyring is what DeviceKey says of a key in the system's keyring.
const WhereKeyring = "keyring"

const (
	keyringService = "Earshot"
	// What stands in the file before the ID of a key that is in the keyring.
	inKeyring = "The key is in the system's keyring. Its ID is "
	// How long the keyring has for an answer if the key need not be there.
	keyringLimit = 2 * time.Second
	// And if it must: somebody may be asked for the keyring's password.
	keyringPatience = 30 * time.Second
)

// DeviceKeyFile is the path of the file with the device's key, or with the
// note that it is in the keyring.
func (p Profile) DeviceKeyFile() string { return filepath.Join(p.dir, "device.key") }

// secretStore is the part of a keyring that is needed of one.
type secretStore interface {
	Get(service, user string) (string, error) // keyring.ErrNotFound if there is none
	Set(service, user, secret string) error
	Delete(service, user string) error
}

// DeviceKey returns the key of this device, and makes it if there is none yet:
// in the system's keyring if keyring says so and there is one that answers
// within two seconds, and else in a file of the profile. It says where the key
// is: WhereKeyring, or the file's path. The caller holds the profile's Lock.
//
// A key in the file stays there. A key in the keyring is moved to the file if
// keyring says no. A key that was in the keyring once is waited for, half a
// minute, and then is an ErrDeviceKey, as is content that is no key.
func (p Profile) DeviceKey(keyring bool) (key identity.Key, where string, err error) {
	return p.deviceKey(systemKeyring{}, keyring)
}

func (p Profile) deviceKey(store secretStore, wanted bool) (identity.Key, string, error) {
	content, err := p.readDeviceKey()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p.newDeviceKey(store, wanted)
	case err != nil:
		return identity.Key{}, "", fmt.Errorf("%w: your key in %s can't be read: %w. Give yourself the right to read it", ErrDeviceKey, p.DeviceKeyFile(), err)
	}
	if spelled, ok := strings.CutPrefix(string(content), inKeyring); ok {
		id, err := identity.ParseID(spelled)
		if err != nil {
			return identity.Key{}, "", p.brokenDeviceKey(err)
		}
		return p.knownDeviceKey(store, id, wanted)
	}
	key, err := identity.ParseKey(content)
	if err != nil {
		return identity.Key{}, "", p.brokenDeviceKey(err)
	}
	return key, p.DeviceKeyFile(), nil
}

// readDeviceKey also sees to it that nobody else reads the file.
func (p Profile) readDeviceKey() ([]byte, error) {
	info, err := os.Stat(p.DeviceKeyFile())
	if err != nil {
		return nil, err
	}
	// On Windows the mode says nothing, and the directory is the account's.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(p.DeviceKeyFile(), 0o600); err != nil {
			return nil, err
		}
	}
	return os.ReadFile(p.DeviceKeyFile())
}

func (p Profile) brokenDeviceKey(reason error) error {
	return fmt.Errorf("%w: %s does not hold your key any more (%w). Bring back a copy of the file. If there is none, remove it, and join your account again with a code from another of your devices or an invitation from your administrator",
		ErrDeviceKey, p.DeviceKeyFile(), reason)
}

// newDeviceKey is for a profile that has no key, as far as the file knows. The
// file is written last: if that fails, the keyring's key is found next time.
func (p Profile) newDeviceKey(store secretStore, wanted bool) (identity.Key, string, error) {
	if wanted {
		text, err := p.ask(keyringLimit, func() (string, error) { return store.Get(keyringService, p.keyringUser()) })
		switch {
		case err == nil:
			key, err := identity.ParseKey([]byte(text))
			if err != nil {
				return identity.Key{}, "", p.brokenInKeyring(err)
			}
			return p.noteInKeyring(key)
		case errors.Is(err, keyring.ErrNotFound):
			key := identity.NewKey()
			if p.putInKeyring(store, key) == nil {
				return p.noteInKeyring(key)
			}
			// Whether it got there or not: from here on the file has the key.
			return p.writeDeviceKey(key)
		}
	}
	return p.writeDeviceKey(identity.NewKey())
}

// putInKeyring succeeds only if the key can be had back.
func (p Profile) putInKeyring(store secretStore, key identity.Key) error {
	written := key.MarshalPEM()
	read, err := p.ask(keyringLimit, func() (string, error) {
		if err := store.Set(keyringService, p.keyringUser(), string(written)); err != nil {
			return "", err
		}
		return store.Get(keyringService, p.keyringUser())
	})
	if err == nil && !bytes.Equal([]byte(read), written) {
		err = errors.New("the keyring gives back something else")
	}
	return err
}

// knownDeviceKey is for a profile whose key is in the keyring.
func (p Profile) knownDeviceKey(store secretStore, id identity.ID, wanted bool) (identity.Key, string, error) {
	text, err := p.ask(keyringPatience, func() (string, error) { return store.Get(keyringService, p.keyringUser()) })
	if errors.Is(err, keyring.ErrNotFound) {
		return identity.Key{}, "", fmt.Errorf("%w: your key was in the system's keyring and is not there any more. Bring back a copy of the keyring. If there is none, remove %s, and join your account again with a code from another of your devices or an invitation from your administrator",
			ErrDeviceKey, p.DeviceKeyFile())
	}
	if err != nil {
		return identity.Key{}, "", fmt.Errorf("%w: your key is in the system's keyring, which can't be opened (%w). Unlock the keyring and start Earshot again", ErrDeviceKey, err)
	}
	key, err := identity.ParseKey([]byte(text))
	if err == nil && key.Public().ID() != id {
		err = fmt.Errorf("it has the ID %s and not %s", key.Public().ID().Short(), id.Short())
	}
	if err != nil {
		return identity.Key{}, "", p.brokenInKeyring(err)
	}
	if wanted {
		return key, WhereKeyring, nil
	}
	key, where, err := p.writeDeviceKey(key)
	if err == nil {
		// What stays there does no harm: the file counts from here on.
		_, _ = p.ask(keyringLimit, func() (string, error) { return "", store.Delete(keyringService, p.keyringUser()) })
	}
	return key, where, err
}

func (p Profile) brokenInKeyring(reason error) error {
	return fmt.Errorf("%w: what the system's keyring holds for %q of %q is not your key (%w). Bring back a copy of the keyring. If there is none, remove that entry and %s, and join your account again with a code from another of your devices or an invitation from your administrator",
		ErrDeviceKey, p.keyringUser(), keyringService, reason, p.DeviceKeyFile())
}

func (p Profile) noteInKeyring(key identity.Key) (identity.Key, string, error) {
	if err := p.replace(p.DeviceKeyFile(), []byte(inKeyring+key.Public().ID().String()+"\n")); err != nil {
		return identity.Key{}, "", err
	}
	return key, WhereKeyring, nil
}

func (p Profile) writeDeviceKey(key identity.Key) (identity.Key, string, error) {
	if err := p.replace(p.DeviceKeyFile(), key.MarshalPEM()); err != nil {
		return identity.Key{}, "", err
	}
	return key, p.DeviceKeyFile(), nil
}

// keyringUser tells the profiles of one account apart.
func (p Profile) keyringUser() string { return "device key " + p.ID() }

var errKeyringSlow = errors.New("it does not answer")

// ask gives the keyring a limited time. The call can't be taken back, so a slow
// one goes on by itself; whoever asks must not mind if it succeeds later.
func (Profile) ask(limit time.Duration, call func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		text, err := call()
		answered <- answer{text, err}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case a := <-answered:
		return a.text, a.err
	case <-timer.C:
		return "", errKeyringSlow
	}
}

// systemKeyring is the keyring of whoever is logged in.
type systemKeyring struct{}

func (systemKeyring) Get(service, user string) (string, error) {
	if err := keyringPresent(); err != nil {
		return "", err
	}
	return keyring.Get(service, user)
}

func (systemKeyring) Set(service, user, secret string) error {
	if err := keyringPresent(); err != nil {
		return err
	}
	return keyring.Set(service, user, secret)
}

func (systemKeyring) Delete(service, user string) error {
	if err := keyringPresent(); err != nil {
		return err
	}
	return keyring.Delete(service, user)
}
