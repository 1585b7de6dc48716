package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/pelletier/go-toml/v2"

	"earshot/p2p/secure"
	"earshot/protocol/identity"
)

// Coordinators is the path of the file that says how each coordinator was
// recognised.
func (p Profile) Coordinators() string { return filepath.Join(p.dir, "coordinators.toml") }

// coordinator is one that was met, as the file holds it.
type coordinator struct {
	Fingerprint string `toml:"fingerprint"`
	Public      bool   `toml:"public,omitempty" comment:"It is recognised by a public certificate, and its fingerprint may change."`
}

// Pins is what the profile knows of one coordinator. Its methods may be called
// from any goroutine.
type Pins struct {
	profile Profile
	server  string

	mu  sync.Mutex
	all map[string]coordinator
	pin secure.Pin
	met bool
}

// Pins reads what is known of a coordinator, by its address as HOST:PORT. A
// file that can't be understood is an error: to go on without it would be to
// trust whoever answers.
func (p Profile) Pins(server string) (*Pins, error) {
	pins := &Pins{profile: p, server: server, all: make(map[string]coordinator)}
	b, err := os.ReadFile(p.Coordinators())
	if errors.Is(err, fs.ErrNotExist) {
		return pins, nil
	}
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := toml.Unmarshal(b, &pins.all); err != nil {
		return nil, fmt.Errorf("%s can't be understood (%w). Correct it, or remove it if you are sure of your coordinator", p.Coordinators(), err)
	}
	known, met := pins.all[server]
	if !met {
		return pins, nil
	}
	fingerprint, err := identity.ParseID(known.Fingerprint)
	if err != nil {
		return nil, fmt.Errorf("%s: the fingerprint of %s is wrong (%w). Correct it, or remove it if you are sure of your coordinator", p.Coordinators(), server, err)
	}
	pins.pin, pins.met = secure.Pin{Fingerprint: fingerprint, WebPKI: known.Public}, true
	return pins, nil
}

// Load implements secure.Pins.
func (p *Pins) Load() (secure.Pin, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pin, p.met
}

// Save implements secure.Pins.
func (p *Pins) Save(pin secure.Pin) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pin, p.met = pin, true
	p.all[p.server] = coordinator{Fingerprint: pin.Fingerprint.String(), Public: pin.WebPKI}
	b, err := toml.Marshal(p.all)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return p.profile.replace(p.profile.Coordinators(), b)
}
