package client

import (
	"bytes"
	"slices"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/store"
)

// maxRemoved is how many devices that were taken off an account are remembered
// of one person.
const maxRemoved = 32

// verdict is what the devices that a coordinator tells of come to, in the light
// of those that are known.
type verdict struct {
	known   store.Known // what is remembered from now on
	changed bool        // that is another than before
	trust   chat.Trust
	fresh   []p2p.Device // nobody vouches for these
	joined  []string     // labels of devices that a known one vouches for
	gone    []string     // labels of devices that were taken off the account
}

// judge decides about what the coordinator says of an account, by its name key.
// The first devices that are ever seen of a person are trusted; later ones are
// if one of those vouches for them. A coordinator can hide devices and make up
// new ones, but it can't make a known device vouch. It does no I/O.
func judge(known store.Known, account string, online bool, announced []p2p.Device, now time.Time) verdict {
	v := verdict{known: known}
	if len(announced) > 0 {
		v.known.Pins = slices.Clone(known.Pins)
		v.meet(account, announced, now)
	}
	switch {
	case len(v.fresh) > 0:
		v.trust = chat.TrustChanged
	case len(v.known.Pins) == 0:
		v.trust = chat.TrustNone
	case len(announced) == 0 && v.known.Classic:
		v.trust = chat.TrustNone
	case len(announced) == 0 && online:
		v.trust = chat.TrustLost
	case v.known.Verified:
		v.trust = chat.TrustVerified
	default:
		v.trust = chat.TrustPinned
	}
	return v
}

// meet compares the pins with the devices that there are now.
func (v *verdict) meet(account string, announced []p2p.Device, now time.Time) {
	first := len(v.known.Pins) == 0
	if v.known.Classic {
		// Whoever is back is not offered the classic protocol again.
		v.known.Classic, v.changed = false, true
	}
	open := slices.Clone(announced)
	for {
		before := len(open)
		open = slices.DeleteFunc(open, func(d p2p.Device) bool {
			pinned := v.pinned(d.Key)
			if !pinned && !first && !vouched(v.known, account, d) {
				return false
			}
			if !pinned {
				v.known = pin(v.known, d, now)
				v.changed = true
				if !first {
					v.joined = append(v.joined, called(d.Label, d.Key))
				}
			}
			return true
		})
		if len(open) == before || len(open) == 0 {
			break
		}
	}
	v.fresh = open
	for i, p := range v.known.Pins {
		at := slices.IndexFunc(announced, func(d p2p.Device) bool { return d.Key == p.Device })
		switch {
		case p.Removed:
		case at < 0:
			v.known.Pins[i].Removed = true
			v.gone = append(v.gone, called(p.Label, p.Device))
			v.changed = true
		case announced[at].Label != p.Label:
			v.known.Pins[i].Label = announced[at].Label
			v.changed = true
		}
	}
	if len(v.joined)+len(v.gone) > 0 {
		v.known.Verified = false // the safety number is another one
	}
	v.known.Pins = prune(v.known.Pins)
}

func (v *verdict) pinned(device identity.PublicKey) bool { return trusts(v.known, device) }

// vouched says whether a trusted device of the account endorses d.
func vouched(known store.Known, account string, d p2p.Device) bool {
	return slices.ContainsFunc(d.Endorsements, func(e p2p.Endorsement) bool {
		return trusts(known, e.By) && identity.VerifyEndorsement(e.By, account, d.Key, e.Signature) == nil
	})
}

// trusts says whether a device is pinned and has not been taken away.
func trusts(known store.Known, device identity.PublicKey) bool {
	return slices.ContainsFunc(known.Pins, func(p store.Pin) bool { return p.Device == device && !p.Removed })
}

// trusted are the devices that may be sent to.
func trusted(known store.Known) (devices []identity.PublicKey) {
	for _, p := range known.Pins {
		if !p.Removed {
			devices = append(devices, p.Device)
		}
	}
	return devices
}

// admits says whether a device may know where this one is: whose items would be
// taken, and whoever is not known yet.
func (e *Engine) admits(p p2p.Person, device identity.PublicKey) bool {
	k, account := key(p.Name), key(p.Name)
	e.mu.Lock()
	defer e.mu.Unlock()
	if k == e.self {
		k = ""
	}
	known := e.known[k]
	return len(known.Pins) == 0 || trusts(judge(known, account, true, p.Devices, now()).known, device)
}

// pin adds a device, in the order of the keys.
func pin(known store.Known, d p2p.Device, now time.Time) store.Known {
	i, found := slices.BinarySearchFunc(known.Pins, d.Key, func(p store.Pin, key identity.PublicKey) int {
		return bytes.Compare(p.Device[:], key[:])
	})
	p := store.Pin{Device: d.Key, Label: d.Label, FirstSeen: now}
	if found {
		p.FirstSeen = known.Pins[i].FirstSeen
		known.Pins[i] = p
	} else {
		known.Pins = slices.Insert(known.Pins, i, p)
	}
	return known
}

// prune forgets the oldest of too many devices that were taken away.
func prune(pins []store.Pin) []store.Pin {
	for {
		oldest, removed := -1, 0
		for i, p := range pins {
			if !p.Removed {
				continue
			}
			removed++
			if oldest < 0 || p.FirstSeen.Before(pins[oldest].FirstSeen) {
				oldest = i
			}
		}
		if removed <= maxRemoved {
			return pins
		}
		pins = slices.Delete(pins, oldest, oldest+1)
	}
}

// accept is what is remembered of a person after somebody has accepted what is
// there now: devices that nobody vouches for, or the classic protocol.
func accept(known store.Known, trust chat.Trust, fresh []p2p.Device, now time.Time) store.Known {
	known.Pins = slices.Clone(known.Pins)
	known.Verified = false
	switch trust {
	case chat.TrustChanged:
		for _, d := range fresh {
			known = pin(known, d, now)
		}
	case chat.TrustLost:
		known.Classic = true
	}
	return known
}

// destinations are the devices to which an item for a person goes; the zero key
// stands for the classic protocol, and for not knowing.
func destinations(known store.Known) []identity.PublicKey {
	if devices := trusted(known); len(devices) > 0 && !known.Classic {
		return devices
	}
	return []identity.PublicKey{{}}
}

// called is what a device is called, be it by its ID.
func called(label string, device identity.PublicKey) string {
	if label == "" {
		return device.ID().Short()
	}
	return label
}
