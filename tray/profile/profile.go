// Package profile is one person's Earshot on one account: the directory that
// holds the settings, the history and the log, the lock that keeps a second
// client out, and the address of the local API.
package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Profile is a directory and what is in it. It is immutable.
type Profile struct {
	dir string
}

// Open returns the profile in dir, which is made if it is missing, for the
// account's eyes only; one that was there keeps its mode, for it may serve
// something else too, and every file in it is private itself. An empty dir is the account's usual one: earshot under
// $XDG_DATA_HOME (~/.local/share), or %LOCALAPPDATA%\Earshot.
func Open(dir string) (Profile, error) {
	if dir == "" {
		usual, err := usualDir()
		if err != nil {
			return Profile{}, fmt.Errorf("profile: no place for Earshot's files: %w", err)
		}
		dir = usual
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Profile{}, fmt.Errorf("profile: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Profile{}, fmt.Errorf("profile: %w", err)
	}
	// One directory has one name, or two clients could run in it.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return Profile{}, fmt.Errorf("profile: %w", err)
	}
	return Profile{dir: dir}, nil
}

// Dir is the directory's absolute path.
func (p Profile) Dir() string { return p.dir }

// Settings is the path of the settings file.
func (p Profile) Settings() string { return filepath.Join(p.dir, "settings.toml") }

// History is the path of the message database.
func (p Profile) History() string { return filepath.Join(p.dir, "history.db") }

// Log is the path of the client's log.
func (p Profile) Log() string { return filepath.Join(p.dir, "earshot.log") }

// ErrInUse is a lock that another process holds.
var ErrInUse = errors.New("profile: another client is running in it")

// Lock makes this process the only client of the profile until the lock is
// released or the process ends, however that happens. It returns ErrInUse if
// there is one already.
func (p Profile) Lock() (*Lock, error) { return p.lock("lock") }

// LockSeat makes this process the only one that shows the client in a desktop
// session, as Lock does.
func (p Profile) LockSeat(seat string) (*Lock, error) {
	sum := sha256.Sum256([]byte(seat))
	return p.lock("lock-" + hex.EncodeToString(sum[:4]))
}

func (p Profile) lock(name string) (*Lock, error) {
	f, err := os.OpenFile(filepath.Join(p.dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, err
	}
	return &Lock{file: f}, nil
}

// Lock is held until Release. The file stays: removing it would let two
// processes lock two files of one name.
type Lock struct{ file *os.File }

// Release gives the profile free.
func (l *Lock) Release() error { return l.file.Close() }

// ID tells profiles apart in names that all of an account's profiles share.
func (p Profile) ID() string {
	sum := sha256.Sum256([]byte(p.dir))
	return hex.EncodeToString(sum[:6])
}
