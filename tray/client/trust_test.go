package client

import (
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/store"
)

// keys are devices of an account named "bo", by letters.
type keys map[rune]identity.Key

func (k keys) device(name rune, vouchers ...rune) p2p.Device {
	d := p2p.Device{Key: k[name].Public(), Label: string(name), Online: true}
	for _, v := range vouchers {
		d.Endorsements = append(d.Endorsements, p2p.Endorsement{By: k[v].Public(), Signature: k[v].Endorse("bo", d.Key)})
	}
	return d
}

func labels(known store.Known) string {
	var list []rune
	for _, p := range known.Pins {
		name := []rune(p.Label)[0]
		if p.Removed {
			name += 'A' - 'a'
		}
		list = append(list, name)
	}
	slices.Sort(list)
	return string(list)
}

// Each case is a row of entries as the coordinator tells them, and what they
// come to. A capital letter is a device that was removed.
func TestJudge(t *testing.T) {
	k := keys{}
	for _, name := range "abcdx" {
		k[name] = identity.NewKey()
	}
	list := func(devices ...p2p.Device) []p2p.Device { return devices }
	wrong := k.device('x')
	wrong.Endorsements = []p2p.Endorsement{{By: k['a'].Public(), Signature: k['a'].Endorse("eve", wrong.Key)}}
	forged := k.device('x')
	forged.Endorsements = []p2p.Endorsement{{By: k['a'].Public(), Signature: make([]byte, 64)}, {By: k['b'].Public()}}
	cases := []struct {
		name   string
		rows   [][]p2p.Device
		trust  chat.Trust
		pins   string
		fresh  string
		joined int
		gone   int
	}{
		{"classic", [][]p2p.Device{nil}, chat.TrustNone, "", "", 0, 0},
		{"first use", [][]p2p.Device{list(k.device('a'), k.device('b'))}, chat.TrustPinned, "ab", "", 0, 0},
		{"the same again", [][]p2p.Device{list(k.device('a')), list(k.device('a'))}, chat.TrustPinned, "a", "", 0, 0},
		{"vouched for", [][]p2p.Device{list(k.device('a')), list(k.device('a'), k.device('b', 'a'))}, chat.TrustPinned, "ab", "", 1, 0},
		{"vouched for in a chain", [][]p2p.Device{list(k.device('a')), list(k.device('c', 'b'), k.device('b', 'a'), k.device('a'))},
			chat.TrustPinned, "abc", "", 2, 0},
		{"vouched for by one that went in the same step", [][]p2p.Device{list(k.device('a')), list(k.device('b', 'a'))},
			chat.TrustPinned, "Ab", "", 1, 1},
		{"not vouched for", [][]p2p.Device{list(k.device('a')), list(k.device('a'), k.device('x'))}, chat.TrustChanged, "a", "x", 0, 0},
		{"another in its place", [][]p2p.Device{list(k.device('a')), list(k.device('x'))}, chat.TrustChanged, "A", "x", 0, 1},
		{"vouched for by itself", [][]p2p.Device{list(k.device('a')), list(k.device('a'), k.device('x', 'x'))}, chat.TrustChanged, "a", "x", 0, 0},
		{"two that vouch for each other", [][]p2p.Device{list(k.device('a')), list(k.device('c', 'd'), k.device('d', 'c'))},
			chat.TrustChanged, "A", "cd", 0, 1},
		{"vouched for in another account", [][]p2p.Device{list(k.device('a')), list(k.device('a'), wrong)}, chat.TrustChanged, "a", "x", 0, 0},
		{"with a forged signature", [][]p2p.Device{list(k.device('a')), list(k.device('a'), forged)}, chat.TrustChanged, "a", "x", 0, 0},
		{"vouched for by a removed one", [][]p2p.Device{
			list(k.device('a'), k.device('b')), list(k.device('b')), list(k.device('b'), k.device('x', 'a')),
		}, chat.TrustChanged, "Ab", "x", 0, 0},
		{"a removed one is back", [][]p2p.Device{
			list(k.device('a'), k.device('b')), list(k.device('b')), list(k.device('b'), k.device('a')),
		}, chat.TrustChanged, "Ab", "a", 0, 0},
		{"a removed one is vouched for anew", [][]p2p.Device{
			list(k.device('a'), k.device('b')), list(k.device('b')), list(k.device('b'), k.device('a', 'b')),
		}, chat.TrustPinned, "ab", "", 1, 0},
		{"only classic now", [][]p2p.Device{list(k.device('a')), nil}, chat.TrustLost, "a", "", 0, 0},
		{"the unknown one has gone again", [][]p2p.Device{
			list(k.device('a')), list(k.device('a'), k.device('x')), list(k.device('a')),
		}, chat.TrustPinned, "a", "", 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var known store.Known
			var v verdict
			for i, announced := range c.rows {
				before := labels(known)
				v = judge(known, "bo", true, announced, time.Unix(int64(i), 0))
				if labels(known) != before {
					t.Error("what was known has been written over")
				}
				if v.changed != (labels(v.known) != before) {
					t.Errorf("changed is %v from %q to %q", v.changed, before, labels(v.known))
				}
				known = v.known
			}
			var fresh strings.Builder
			for _, d := range v.fresh {
				fresh.WriteString(d.Label)
			}
			if v.trust != c.trust || labels(known) != c.pins || fresh.String() != c.fresh || len(v.joined) != c.joined || len(v.gone) != c.gone {
				t.Errorf("trust %q, pins %q, fresh %q, joined %q, gone %q", v.trust, labels(known), fresh.String(), v.joined, v.gone)
			}
		})
	}
}

// The verified mark holds for the devices that there were, and the acceptance
// of the classic protocol until the person is secure again.
func TestMarksEnd(t *testing.T) {
	k := keys{'a': identity.NewKey(), 'b': identity.NewKey()}
	at := time.Unix(1, 0)
	a := []p2p.Device{k.device('a')}
	known := judge(store.Known{}, "bo", true, a, at).known
	known.Verified = true
	if v := judge(known, "bo", true, a, at); v.trust != chat.TrustVerified || v.changed {
		t.Errorf("%+v", v)
	}
	if v := judge(known, "bo", false, nil, at); v.trust != chat.TrustVerified {
		t.Errorf("offline: %+v", v)
	}
	joined := judge(known, "bo", true, []p2p.Device{k.device('a'), k.device('b', 'a')}, at)
	if joined.trust != chat.TrustPinned || joined.known.Verified {
		t.Errorf("%+v", joined)
	}
	lost := judge(known, "bo", true, nil, at)
	known = accept(lost.known, lost.trust, nil, at)
	if v := judge(known, "bo", true, nil, at); v.trust != chat.TrustNone || len(destinations(v.known)) != 1 || destinations(v.known)[0] != (identity.PublicKey{}) {
		t.Errorf("accepted, and %+v", v)
	}
	back := judge(known, "bo", true, a, at)
	if back.trust != chat.TrustPinned || back.known.Classic || !back.changed {
		t.Errorf("%+v", back)
	}
	if v := judge(back.known, "bo", true, nil, at); v.trust != chat.TrustLost {
		t.Errorf("lost again, and %+v", v)
	}
}

// Somebody who takes a new device every day does not fill the store.
func TestPinsAreBounded(t *testing.T) {
	var known store.Known
	last := identity.NewKey()
	known = judge(known, "bo", true, []p2p.Device{{Key: last.Public()}}, time.Unix(0, 0)).known
	for day := range 200 {
		next := identity.NewKey()
		d := p2p.Device{Key: next.Public(), Endorsements: []p2p.Endorsement{
			{By: last.Public(), Signature: last.Endorse("bo", next.Public())},
		}}
		v := judge(known, "bo", true, []p2p.Device{d}, time.Unix(int64(day+1), 0))
		if v.trust != chat.TrustPinned {
			t.Fatalf("day %d: %q", day, v.trust)
		}
		known, last = v.known, next
	}
	if n := len(known.Pins); n > maxRemoved+1 || !trusts(known, last.Public()) {
		t.Errorf("%d pins are kept", n)
	}
}

// Who may know where this device is, is whose items would be taken, and whoever
// is met for the first time.
func TestAdmits(t *testing.T) {
	k := keys{}
	for _, name := range "abx" {
		k[name] = identity.NewKey()
	}
	bo := judge(store.Known{}, "bo", true, []p2p.Device{k.device('a')}, now()).known
	e := &Engine{self: "me", known: map[string]store.Known{"bo": bo, "": bo}}
	for _, c := range []struct {
		name   string
		device p2p.Device
		want   bool
	}{
		{"Bo", k.device('a'), true},
		{"Bo", k.device('b', 'a'), true}, // new, and vouched for
		{"Bo", k.device('x'), false},     // new, and nobody vouches
		{"Eve", k.device('x'), true},     // never met
		{"Me", k.device('a'), true},
		{"Me", k.device('x'), false},
	} {
		p := p2p.Person{Name: c.name, Devices: []p2p.Device{k.device('a'), c.device}}
		if got := e.admits(p, c.device.Key); got != c.want {
			t.Errorf("%s, %s: admitted is %v", c.name, c.device.Label, got)
		}
	}
	// Whom it has taken off the account, it doesn't come back by itself.
	bo = judge(bo, "bo", true, []p2p.Device{k.device('b', 'a')}, now()).known
	e.known["bo"] = bo
	if e.admits(p2p.Person{Name: "Bo", Devices: []p2p.Device{k.device('a'), k.device('b', 'a')}}, k['a'].Public()) {
		t.Error("a device that was removed is admitted")
	}
}
