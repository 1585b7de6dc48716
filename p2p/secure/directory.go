package secure

import (
	"net/netip"
	"sync"
	"time"

	"earshot/p2p"
	"earshot/p2p/classic"
	wirec "earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

const (
	// rememberFor is how long a device is known that is on the roster no more,
	// or never was because its owner is invisible.
	rememberFor = 30 * time.Minute
	// maxRemembered bounds those.
	maxRemembered = 4096
)

// directory is who is who: the roster as the coordinator last told it, and for
// a while whoever left it. Sessions ask it to whom a device belongs and where
// it may be reached, from any goroutine; one mutex guards it. While the
// coordinator is out of reach it stays as it was, and so do conversations.
type directory struct {
	mu      sync.Mutex
	own     string // name key
	mine    []identity.PublicKey
	people  map[string]entry
	devices map[identity.PublicKey]place
	gone    map[identity.PublicKey]place
}

// entry is somebody on the roster.
type entry struct {
	person  p2p.Person
	contact classic.Contact
	reached bool // contact says how
}

// place is a device, its owner, and where it may be.
type place struct {
	name string
	at   []netip.AddrPort
	left time.Time
}

func newDirectory(own string) *directory {
	return &directory{
		own: wirec.NameKey(own), people: make(map[string]entry),
		devices: make(map[identity.PublicKey]place), gone: make(map[identity.PublicKey]place),
	}
}

// replace takes a whole roster, and returns everyone but the person itself.
func (d *directory) replace(users []*wire.User, now time.Time) (people []p2p.Person, self p2p.Person) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, at := range d.devices {
		d.rememberLocked(key, at, now)
	}
	clear(d.people)
	clear(d.devices)
	for _, u := range users {
		person := d.putLocked(u)
		if wirec.NameKey(person.Name) == d.own {
			self = person
		} else {
			people = append(people, person)
		}
	}
	return people, self
}

// put takes one entry.
func (d *directory) put(u *wire.User) p2p.Person {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dropLocked(u.GetName(), time.Time{})
	return d.putLocked(u)
}

func (d *directory) putLocked(u *wire.User) p2p.Person {
	e := entry{person: personOf(u)}
	e.contact, e.reached = contactOf(u.GetClassic())
	d.people[wirec.NameKey(e.person.Name)] = e
	d.devicesLocked(e.person.Name, u.GetDevices())
	return e.person
}

func (d *directory) devicesLocked(name string, devices []*wire.Device) {
	for _, w := range devices {
		if key, err := identity.ParsePublicKey(w.GetKey()); err == nil {
			d.devices[key] = place{name: name, at: addressesOf(w.GetCandidates())}
			delete(d.gone, key)
		}
	}
}

// account takes the person's own devices, which are on no roster while the
// person is invisible.
func (d *directory) account(a *wire.Account) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range d.mine {
		delete(d.devices, key)
	}
	d.mine = d.mine[:0]
	for _, device := range devicesOf(a.GetDevices()) {
		d.mine = append(d.mine, device.Key)
	}
	d.devicesLocked(a.GetName(), a.GetDevices())
}

// drop forgets somebody who has left, and remembers the devices for a while.
func (d *directory) drop(name string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dropLocked(name, now)
}

// dropLocked forgets an entry. Its devices are remembered as of now, unless
// that is zero.
func (d *directory) dropLocked(name string, now time.Time) {
	key := wirec.NameKey(name)
	for _, device := range d.people[key].person.Devices {
		at, ok := d.devices[device.Key]
		delete(d.devices, device.Key)
		if ok && !now.IsZero() {
			d.rememberLocked(device.Key, at, now)
		}
	}
	delete(d.people, key)
}

// introduced remembers a device whose owner need not be on the roster.
func (d *directory) introduced(device identity.PublicKey, name string, at []netip.AddrPort, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if known, ok := d.devices[device]; ok {
		known.at = at
		d.devices[device] = known
		return
	}
	d.rememberLocked(device, place{name: name, at: at}, now)
}

func (d *directory) rememberLocked(device identity.PublicKey, at place, now time.Time) {
	if len(d.gone) >= maxRemembered {
		for key, old := range d.gone {
			if now.Sub(old.left) > rememberFor || len(d.gone) >= maxRemembered {
				delete(d.gone, key)
			}
		}
	}
	at.left = now
	d.gone[device] = at
}

// lookup says to whom a device belongs, and where it may be.
func (d *directory) lookup(device identity.PublicKey) (name string, at []netip.AddrPort, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.devices[device]
	if !ok {
		if p, ok = d.gone[device]; !ok || time.Since(p.left) > rememberFor {
			return "", nil, false
		}
	}
	return p.name, p.at, true
}

// contact says how somebody is reached by the classic protocol.
func (d *directory) contact(name string) (classic.Contact, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.people[wirec.NameKey(name)]
	return e.contact, ok && e.reached
}

// spelled is a name as the roster spells it, or as it is.
func (d *directory) spelled(name string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, ok := d.people[wirec.NameKey(name)]; ok {
		return e.person.Name
	}
	return name
}
