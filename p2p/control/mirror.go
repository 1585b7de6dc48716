package control

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"earshot/p2p"
	"earshot/protocol/classic"
	"earshot/protocol/wire"
)

// What a coordinator can make a client hold. An entry of 16 devices with all
// that they may have takes less than half of maxEntry.
const (
	maxUsers  = 20_000
	maxEntry  = 64 << 10 // bytes of one entry, encoded
	maxRoster = 64 << 20 // bytes of all entries, encoded
)

// mirror is the copy of the coordinator's roster. It does no I/O, and what it
// is given is kept: nobody may change it afterwards. After an error it is as it
// was, or to be forgotten.
type mirror struct {
	// epoch and sequence are the position that a login offers; zero for none.
	epoch, sequence uint64
	users           table
	// next is a snapshot of which some frames have come; nil if none has.
	next *coming
	// expected is the epoch of the login's roster.
	expected uint64
}

// coming is a snapshot on its way.
type coming struct {
	epoch, sequence uint64
	users           table
}

func newMirror() *mirror { return &mirror{users: newTable()} }

// errRoster is a coordinator that breaks the rules of the roster. What helps is
// a new connection with a whole snapshot.
var errRoster = fmt.Errorf("%w: the coordinator's list of people doesn't add up", p2p.ErrTransport)

// welcome begins a login. It reports whether the roster is whole without a
// snapshot.
func (m *mirror) welcome(epoch uint64, resumed bool) (whole bool, err error) {
	m.expected, m.next = epoch, nil
	if !resumed {
		m.forget()
		return false, nil
	}
	if m.epoch == 0 || epoch != m.epoch {
		return false, fmt.Errorf("%w: it goes on from where this client never was", errRoster)
	}
	return true, nil
}

// snapshot takes one frame of a snapshot, and reports whether it was the last.
// A snapshot within a login replaces what is known, too.
func (m *mirror) snapshot(s *wire.Snapshot) (whole bool, err error) {
	if m.next == nil {
		m.next = &coming{s.GetEpoch(), s.GetSequence(), newTable()}
	}
	next := m.next
	if s.GetEpoch() != m.expected || s.GetEpoch() != next.epoch || s.GetSequence() != next.sequence {
		return false, fmt.Errorf("%w: its parts are of different times", errRoster)
	}
	for _, u := range s.GetUsers() {
		if next.users.byID[u.GetId()] != nil {
			return false, fmt.Errorf("%w: the user %d is on it twice", errRoster, u.GetId())
		}
		if err := next.users.put(u); err != nil {
			return false, err
		}
	}
	if s.GetMore() {
		return false, nil
	}
	m.users, m.next = next.users, nil
	m.epoch, m.sequence = next.epoch, next.sequence
	return true, nil
}

// delta takes one change, and returns what it put or took away.
func (m *mirror) delta(d *wire.Delta) (put, gone *wire.User, err error) {
	if m.next != nil {
		return nil, nil, fmt.Errorf("%w: a change comes amidst a snapshot", errRoster)
	}
	if d.GetSequence() != m.sequence+1 {
		return nil, nil, fmt.Errorf("%w: change %d follows %d", errRoster, d.GetSequence(), m.sequence)
	}
	switch change := d.GetChange().(type) {
	case *wire.Delta_Put:
		if err := m.users.put(change.Put); err != nil {
			return nil, nil, err
		}
		put = change.Put
	case *wire.Delta_Gone:
		if gone = m.users.remove(change.Gone); gone == nil {
			return nil, nil, fmt.Errorf("%w: the user %d leaves, who is not there", errRoster, change.Gone)
		}
	}
	// A change of a kind that is not known yet takes its number all the same.
	m.sequence = d.GetSequence()
	return put, gone, nil
}

// all returns everyone, in the order in which they came.
func (m *mirror) all() []*wire.User {
	return slices.SortedFunc(maps.Values(m.users.byID), func(a, b *wire.User) int {
		return cmp.Compare(a.GetId(), b.GetId())
	})
}

// forget makes the next login ask for everything.
func (m *mirror) forget() { m.epoch, m.sequence, m.next = 0, 0, nil }

// table is entries by ID. No two have the same name.
type table struct {
	byID  map[uint64]*wire.User
	names map[string]uint64 // IDs by name key
	bytes int               // of the entries, encoded
}

func newTable() table {
	return table{byID: make(map[uint64]*wire.User), names: make(map[string]uint64)}
}

// put adds an entry or replaces the one of the same ID. It refuses what nobody
// could show, use or hold, and is then unchanged.
func (t *table) put(u *wire.User) error {
	if u.GetId() == 0 {
		return fmt.Errorf("%w: a user has no ID", errRoster)
	}
	if err := classic.ValidateName(u.GetName()); err != nil {
		return fmt.Errorf("%w: the user %d: %w", errRoster, u.GetId(), err)
	}
	key := classic.NameKey(u.GetName())
	if id, taken := t.names[key]; taken && id != u.GetId() {
		return fmt.Errorf("%w: the users %d and %d have the same name", errRoster, id, u.GetId())
	}
	old := t.byID[u.GetId()]
	size := proto.Size(u)
	bytes := t.bytes + size
	if old != nil {
		bytes -= proto.Size(old)
	}
	if size > maxEntry || bytes > maxRoster || old == nil && len(t.byID) >= maxUsers {
		return fmt.Errorf("%w: it is larger than this program takes", errRoster)
	}
	if old != nil {
		delete(t.names, classic.NameKey(old.GetName()))
	}
	t.byID[u.GetId()], t.names[key], t.bytes = u, u.GetId(), bytes
	return nil
}

// remove takes an entry away and returns it; nil if there is none.
func (t *table) remove(id uint64) *wire.User {
	u := t.byID[id]
	if u != nil {
		t.bytes -= proto.Size(u)
		delete(t.byID, id)
		delete(t.names, classic.NameKey(u.GetName()))
	}
	return u
}
