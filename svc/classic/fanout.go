package classic

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	wire "earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/svc/roster"
	"earshot/svc/rush"
)

// run tells every user of every change but those that stood on the user's list
// already and those about the user. A change after quiet goes out at once; what
// happens within a round's time goes out together, and what does in a rush of
// logins when that is over.
func (f *fan) run(ctx context.Context) {
	s := f.server
	f.due = time.NewTimer(0)
	defer f.due.Stop()
	for {
		over, early := s.cfg.Rush.Over(), f.early()
		var changed <-chan struct{}
		if over == nil && !early {
			changed = s.cfg.Roster.Changed(f.at)
		}
		select {
		case <-ctx.Done():
			return
		case <-over:
		case <-f.due.C:
		case <-changed:
		case <-s.wake:
		case m := <-s.groups:
			f.aim()
			var e encoded
			for _, u := range f.targets {
				s.send(u, e.in(u.encoding, m))
			}
		}
		f.catchUp()
		if s.cfg.Rush.Over() == nil && !f.early() {
			f.round(ctx)
		}
	}
}

// early says whether a round's time has not passed since the last round began.
// Then due fires when it has.
func (f *fan) early() bool {
	left := rush.Round(f.among) - time.Since(f.began)
	if left <= 0 {
		return false
	}
	f.due.Reset(left)
	return true
}

// newFan returns a fan for those who come from now on.
func newFan(s *Server) *fan {
	users, at := s.cfg.Roster.Snapshot()
	f := &fan{server: s, at: at, told: make(map[uint64]roster.User)}
	for _, u := range users {
		f.remember(roster.Change{Kind: roster.Joined, User: u})
	}
	return f
}

// fan is what the fan-out goroutine knows. Users without a classic endpoint are
// nobody to it.
type fan struct {
	server  *Server
	at      roster.Position        // told up to here
	told    map[uint64]roster.User // who is online by what was told
	changes []roster.Change
	targets []*user
	began   time.Time   // the last round
	among   int         // so many
	due     *time.Timer // see early
}

// aim reads who is online now.
func (f *fan) aim() {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	f.targets = append(f.targets[:0], f.server.online...)
}

// catchUp tells those who have read their lists what has happened since.
func (f *fan) catchUp() {
	s := f.server
	s.mu.Lock()
	ready := s.released
	s.released = nil
	s.mu.Unlock()
	for _, u := range ready {
		if !u.held {
			continue
		}
		u.held = false
		if u.after >= f.at.Seq {
			continue // the next round has it all
		}
		var err error
		f.changes, _, err = s.cfg.Roster.Since(f.changes[:0], roster.Position{Epoch: f.at.Epoch, Seq: u.after})
		if err != nil {
			// It took the log's whole length for one list to be read.
			s.mu.Lock()
			s.leave(u, "fell behind")
			s.mu.Unlock()
			continue
		}
		f.targets = append(f.targets[:0], u)
		f.tell(slices.DeleteFunc(f.changes, func(c roster.Change) bool { return c.Seq > f.at.Seq }))
		u.after = f.at.Seq
	}
}

// round tells everyone what has happened since the last round. Who is online
// is read after the changes: whoever comes later has them on the list.
func (f *fan) round(ctx context.Context) {
	var err error
	before := f.at
	f.changes, f.at, err = f.server.cfg.Roster.Since(f.changes[:0], before)
	if err != nil {
		f.changes, f.at = f.difference()
		f.server.cfg.Log.Warn("telling users of changes fell behind and starts afresh", "changes", len(f.changes))
	}
	if len(f.changes) == 0 {
		return
	}
	f.aim()
	f.began, f.among = time.Now(), len(f.targets)
	for changes := range slices.Chunk(f.changes, roundChanges) {
		if ctx.Err() != nil {
			return // the farewell says all that is left to say
		}
		f.tell(changes)
		for _, c := range changes {
			f.remember(c)
		}
	}
}

// roundChanges is how many changes one user is told before the next user is: more
// at once would overflow a socket's buffer of the usual size.
const roundChanges = 2 * hostnet.MaxSegments

// remember notes who is online by a change that was told.
func (f *fan) remember(c roster.Change) {
	if c.Kind != roster.Left && c.User.Endpoint.IsValid() {
		f.told[c.User.ID] = c.User
	} else {
		delete(f.told, c.User.ID)
	}
}

// known is everybody of whom anybody was told, by a change or on a list.
func (f *fan) known() []roster.User {
	users, _ := f.server.cfg.Roster.Snapshot()
	for _, u := range users {
		f.remember(roster.Change{Kind: roster.Joined, User: u})
	}
	return slices.Collect(maps.Values(f.told))
}

// messages are what is said of a change: a user who moves has gone, and has
// come.
func messages(c roster.Change) (all []wire.Message) {
	was, is := netip.AddrPort{}, netip.AddrPort{}
	switch c.Kind {
	case roster.Joined:
		is = c.User.Endpoint
	case roster.Left:
		was = c.User.Endpoint
	case roster.Changed:
		was, is = c.Was, c.User.Endpoint
	}
	if was == is {
		return nil
	}
	if was.IsValid() {
		all = append(all, wire.Logout{Name: c.User.Name, Endpoint: was})
	}
	if is.IsValid() {
		all = append(all, wire.Login{Name: c.User.Name, Endpoint: is})
	}
	return all
}

// tell sends some changes, encoded once for each encoding, to all targets.
func (f *fan) tell(changes []roster.Change) {
	if len(changes) == 0 {
		return
	}
	all, delivered := newBatches(changes), 0
	for _, u := range f.targets {
		switch {
		case u.held:
		case u.after < changes[0].Seq && !all.about[u.id]:
			b := all.in(u.encoding)
			f.server.sendBatch(u, b)
			delivered += b.messages
		default:
			delivered += f.tellSome(u, changes)
		}
	}
	f.server.metrics.delivered.Add(float64(delivered))
}

// tellSome tells a user those changes that aren't the user's own and did not
// stand on the user's list, and returns how many messages that were.
func (f *fan) tellSome(u *user, changes []roster.Change) int {
	news := make([]roster.Change, 0, len(changes))
	for _, c := range changes {
		if u.after < c.Seq && u.id != c.User.ID {
			news = append(news, c)
		}
	}
	b := newBatch(news, u.encoding)
	f.server.sendBatch(u, b)
	return b.messages
}

// difference is what happened between what was told and now, for a loop that
// the log has left behind. All of it has the number of the snapshot, so that it
// is news to everyone whose list is older.
func (f *fan) difference() ([]roster.Change, roster.Position) {
	users, at := f.server.cfg.Roster.Snapshot()
	var changes []roster.Change
	online := make(map[uint64]netip.AddrPort, len(users))
	for _, u := range users {
		online[u.ID] = u.Endpoint
	}
	for id, u := range f.told {
		if online[id] != u.Endpoint {
			changes = append(changes, roster.Change{Seq: at.Seq, Kind: roster.Left, User: u})
		}
	}
	for _, u := range users {
		if f.told[u.ID].Endpoint != u.Endpoint {
			changes = append(changes, roster.Change{Seq: at.Seq, Kind: roster.Joined, User: u})
		}
	}
	return changes, at
}
