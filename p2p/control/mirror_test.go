package control

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"earshot/protocol/classic"
	"earshot/protocol/wire"
)

// check fails if a mirror contradicts itself.
func (m *mirror) check(t *testing.T) {
	t.Helper()
	bytes := 0
	for id, u := range m.users.byID {
		bytes += proto.Size(u)
		if id != u.GetId() || m.users.names[classic.NameKey(u.GetName())] != id {
			t.Fatalf("the entry %d is %v", id, u)
		}
	}
	if bytes != m.users.bytes || len(m.users.names) != len(m.users.byID) || bytes > maxRoster || len(m.users.byID) > maxUsers {
		t.Fatalf("%d bytes are counted as %d, %d entries have %d names", bytes, m.users.bytes, len(m.users.byID), len(m.users.names))
	}
	all := m.all()
	if len(all) != len(m.users.byID) || !slices.IsSortedFunc(all, func(a, b *wire.User) int { return int(a.GetId()) - int(b.GetId()) }) {
		t.Fatalf("all are %v", all)
	}
}

// A coordinator with a log, of which a mirror sees snapshots and changes over
// connections that end at any time: it is the coordinator's roster whenever it
// says that it is whole.
func TestMirrorFollows(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 0))
		m := newMirror()
		epoch, log, online := seed+1, []*wire.Delta(nil), newTable()
		change := func() {
			d := &wire.Delta{Sequence: uint64(len(log)) + 1}
			id := uint64(1 + r.IntN(30))
			if online.byID[id] != nil && r.IntN(2) == 0 {
				online.remove(id)
				d.Change = &wire.Delta_Gone{Gone: id}
			} else {
				u := &wire.User{Id: id, Name: fmt.Sprint("u", id, r.IntN(2)), Status: &wire.Status{Text: fmt.Sprint(r.IntN(100))}}
				if err := online.put(u); err != nil {
					t.Fatal(err)
				}
				d.Change = &wire.Delta_Put{Put: u}
			}
			log = append(log, d)
		}
		for range 30 { // logins
			for range r.IntN(20) {
				change()
			}
			resumed := m.epoch == epoch && r.IntN(4) > 0
			whole, err := m.welcome(epoch, resumed)
			if err != nil || whole != resumed {
				t.Fatalf("seed %d: %v, %v", seed, whole, err)
			}
			if !resumed && !followSnapshot(t, r, m, epoch, uint64(len(log)), online) {
				continue // the connection ended before the roster was whole
			}
			for range r.IntN(20) {
				change()
			}
			for m.sequence < uint64(len(log)) && r.IntN(30) > 0 {
				if _, _, err := m.delta(log[m.sequence]); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				m.check(t)
			}
			if m.sequence == uint64(len(log)) && !sameTables(m.users, online) {
				t.Fatalf("seed %d: the mirror has %v, the roster %v", seed, m.users.byID, online.byID)
			}
		}
	}
}

// followSnapshot hands over a snapshot in several frames, perhaps not all.
func followSnapshot(t *testing.T, r *rand.Rand, m *mirror, epoch, sequence uint64, online table) bool {
	t.Helper()
	s := &wire.Snapshot{Epoch: epoch, Sequence: sequence, More: true}
	for _, u := range online.byID {
		s.Users = append(s.Users, u)
		if r.IntN(4) == 0 {
			if whole, err := m.snapshot(s); err != nil || whole {
				t.Fatal(whole, err)
			}
			s = &wire.Snapshot{Epoch: epoch, Sequence: sequence, More: true}
			if r.IntN(10) == 0 {
				return false
			}
		}
	}
	s.More = false
	if whole, err := m.snapshot(s); err != nil || !whole {
		t.Fatal(whole, err)
	}
	m.check(t)
	return true
}

func sameTables(a, b table) bool {
	for id, u := range a.byID {
		if !proto.Equal(u, b.byID[id]) {
			return false
		}
	}
	return len(a.byID) == len(b.byID)
}

// A coordinator can't make a client hold more than so many people, nor so many
// bytes of them.
func TestMirrorLimits(t *testing.T) {
	m := newMirror()
	if _, err := m.welcome(1, false); err != nil {
		t.Fatal(err)
	}
	for id := uint64(1); ; id++ {
		_, err := m.snapshot(&wire.Snapshot{Epoch: 1, More: true, Users: []*wire.User{user(id, fmt.Sprint(id))}})
		if err != nil {
			if !errors.Is(err, errRoster) || id != maxUsers+1 {
				t.Errorf("%d users: %v", id, err)
			}
			break
		}
	}
	users := newTable()
	text := strings.Repeat("x", maxEntry-200)
	large := func(id uint64) *wire.User {
		return &wire.User{Id: id, Name: fmt.Sprint(id), Status: &wire.Status{Text: text}}
	}
	id := uint64(1)
	for users.put(large(id)) == nil {
		id++
	}
	if users.bytes > maxRoster || users.bytes < maxRoster-maxEntry || len(users.byID) >= maxUsers {
		t.Errorf("%d users of %d bytes", len(users.byID), users.bytes)
	}
	// Who is there already may still change, and somebody else come for one who goes.
	if err := users.put(large(id - 1)); err != nil {
		t.Error(err)
	}
	users.remove(1)
	if err := users.put(large(id)); err != nil {
		t.Error(err)
	}
}

// Whatever a coordinator says, a mirror doesn't contradict itself.
func FuzzMirror(f *testing.F) {
	var seed []byte
	for _, m := range []proto.Message{
		welcome(7, false), snapshot(7, 40, true, user(1, "Ann")), snapshot(7, 40, false, user(2, "Bo")),
		put(41, user(3, "Cy")), put(42, user(3, "cy")), gone(43, 1), put(44, user(2, "Ann")), put(46, user(4, "Di")),
	} {
		seed = wire.Append(seed, m)
	}
	f.Add(seed)
	f.Add(wire.Append(wire.Append(nil, welcome(0, true)), put(1, user(1, "Ann"))))
	f.Fuzz(func(t *testing.T, in []byte) {
		m := newMirror()
		for r := strings.NewReader(string(in)); ; {
			frame := new(wire.ToClient)
			if err := wire.Read(r, wire.MaxToClient, frame); err != nil {
				return
			}
			before := m.sequence
			var err error
			switch body := frame.GetBody().(type) {
			case *wire.ToClient_Welcome:
				_, err = m.welcome(body.Welcome.GetEpoch(), body.Welcome.GetResumed())
			case *wire.ToClient_Snapshot:
				_, err = m.snapshot(body.Snapshot)
			case *wire.ToClient_Delta:
				_, _, err = m.delta(body.Delta)
				if want := before + 1; err == nil && m.sequence != want || err != nil && m.sequence != before {
					t.Fatalf("change %v after %d: %d, %v", body.Delta, before, m.sequence, err)
				}
			}
			if err != nil && !errors.Is(err, errRoster) {
				t.Fatal(err)
			}
			m.check(t)
		}
	})
}
