package control

import (
	"fmt"
	"slices"

	"earshot/protocol/classic"
	"earshot/protocol/wire"
)

// maxUsers bounds what a coordinator can make a client hold.
const maxUsers = 20_000

// mirror is the copy of the coordinator's roster. It does no I/O, and what it
// is given is kept: nobody may change it afterwards.
type mirror struct {
	epoch, sequence uint64
	users           map[uint64]*wire.User
	// next is a snapshot of which some frames have come; nil if none has.
	next map[uint64]*wire.User
}

func newMirror() *mirror { return &mirror{users: make(map[uint64]*wire.User)} }

// errRoster is a coordinator that breaks the rules of the roster. What helps is
// a new connection with a whole snapshot.
var errRoster = fmt.Errorf("the coordinator's roster doesn't add up")

// snapshot takes one frame of a snapshot, and reports whether it was the last.
func (m *mirror) snapshot(s *wire.Snapshot) (whole bool, err error) {
	if m.next == nil {
		m.next = make(map[uint64]*wire.User, len(s.GetUsers()))
	}
	for _, u := range s.GetUsers() {
		if err := valid(u); err != nil {
			return false, err
		}
		if _, twice := m.next[u.GetId()]; twice {
			return false, fmt.Errorf("%w: the user %d is on it twice", errRoster, u.GetId())
		}
		m.next[u.GetId()] = u
	}
	if len(m.next) > maxUsers {
		return false, fmt.Errorf("%w: it has more than %d users", errRoster, maxUsers)
	}
	if s.GetMore() {
		return false, nil
	}
	m.users, m.next = m.next, nil
	m.epoch, m.sequence = s.GetEpoch(), s.GetSequence()
	return true, nil
}

// delta takes one change, and returns what it put or took away.
func (m *mirror) delta(d *wire.Delta) (put, gone *wire.User, err error) {
	if d.GetSequence() != m.sequence+1 {
		return nil, nil, fmt.Errorf("%w: change %d follows %d", errRoster, d.GetSequence(), m.sequence)
	}
	switch change := d.GetChange().(type) {
	case *wire.Delta_Put:
		if err := valid(change.Put); err != nil {
			return nil, nil, err
		}
		if len(m.users) >= maxUsers && m.users[change.Put.GetId()] == nil {
			return nil, nil, fmt.Errorf("%w: it has more than %d users", errRoster, maxUsers)
		}
		m.users[change.Put.GetId()] = change.Put
		put = change.Put
	case *wire.Delta_Gone:
		if gone = m.users[change.Gone]; gone == nil {
			return nil, nil, fmt.Errorf("%w: the user %d leaves, who is not there", errRoster, change.Gone)
		}
		delete(m.users, change.Gone)
	}
	// A change of a kind that is not known yet takes its number all the same.
	m.sequence = d.GetSequence()
	return put, gone, nil
}

// all returns everyone, in the order in which they came.
func (m *mirror) all() []*wire.User {
	list := make([]*wire.User, 0, len(m.users))
	for _, u := range m.users {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b *wire.User) int {
		if a.GetId() < b.GetId() {
			return -1
		}
		return 1
	})
	return list
}

// forget makes the next login ask for everything.
func (m *mirror) forget() { m.epoch, m.sequence, m.next = 0, 0, nil }

// valid refuses entries that nobody could show or use.
func valid(u *wire.User) error {
	if u.GetId() == 0 {
		return fmt.Errorf("%w: a user has no ID", errRoster)
	}
	if err := classic.ValidateName(u.GetName()); err != nil {
		return fmt.Errorf("%w: the user %d: %w", errRoster, u.GetId(), err)
	}
	return nil
}
