package classic

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	wire "earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/svc/limit"
	"earshot/svc/roster"
	"earshot/svc/rush"
)

// spareConns is how many list connections there may be beyond those of users:
// of clients that repeat a login while their last connection lingers.
const spareConns = 64

// vanishTime is how soon the host of a list connection is missed that has lost
// its power.
const vanishTime = 30 * time.Second

// fetch is a list that is being read by the clients of one address which logged
// in together, and whose connections can't be told apart. They all get the same
// list, so that the same changes follow for all. Server.mu guards it.
type fetch struct {
	users     []*user
	fresh     []*user         // those of them who have no list yet
	encodings []wire.Encoding // of the clients whose connections are due, in the order of their logins
	list      *list           // nil if it is to be put together anew
	reading   int             // connections under way
	expires   time.Time
}

// list is everybody at one position. Server.mu guards it.
type list struct {
	at      roster.Position
	framing wire.Framing
	entries []wire.Entry
	bytes   [3][]byte
}

func (l *list) in(e wire.Encoding) []byte {
	if l.bytes[e] == nil {
		l.bytes[e] = wire.AppendList(nil, l.framing, e, l.entries)
	}
	return l.bytes[e]
}

// accept serves one of the list ports until it is closed.
func (s *Server) accept(ctx context.Context, l net.Listener, framing wire.Framing) {
	for {
		conn, err := hostnet.Accept(ctx, l, s.cfg.Log)
		if err != nil {
			return
		}
		from := hostnet.AddrPort(conn.RemoteAddr()).Addr()
		if !s.open(conn, from) {
			s.metrics.drop("too many connections")
			conn.Close()
			continue
		}
		go func() {
			defer s.close(conn, from)
			s.serveList(conn, place{from, framing})
		}()
	}
}

// open registers a list connection.
func (s *Server) open(conn net.Conn, from netip.Addr) bool {
	h := limit.Host(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.connsAt[h] >= s.cfg.Limits.MaxUsersPerAddress+spareConns || len(s.conns) >= s.cfg.Limits.MaxUsers+spareConns {
		return false
	}
	s.conns[conn] = struct{}{}
	s.connsAt[h]++
	s.serving.Add(1)
	return true
}

func (s *Server) close(conn net.Conn, from netip.Addr) {
	defer s.serving.Done()
	conn.Close()
	h := limit.Host(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	if s.connsAt[h]--; s.connsAt[h] == 0 {
		delete(s.connsAt, h)
	}
}

// serveList writes the list and closes, or keeps a raw text connection for as
// long as the client does. One that is kept for leaseTime, and whose user is
// known, is a lease: its loss is that user's logout.
func (s *Server) serveList(conn net.Conn, at place) {
	f, encoding, holder := s.claim(at, time.Now())
	if f == nil {
		s.metrics.drop("list for nobody")
		return
	}
	// Who comes in a rush finds on the list all who came in it, instead of being
	// told of each.
	if over := s.cfg.Rush.Over(); over != nil {
		<-over
	}
	opened := time.Now()
	_ = hostnet.Guard(conn, vanishTime) // else the system finds it out by itself, later
	_ = conn.SetWriteDeadline(opened.Add(listTime))
	_, err := conn.Write(s.listFor(f, at.framing, encoding))
	if err == nil {
		s.metrics.lists[at.framing].Inc()
	}
	if err == nil && at.framing == wire.DotNet {
		// The client reads to our end of the stream and then closes its own,
		// which says that it has the list.
		if c, ok := conn.(interface{ CloseWrite() error }); ok {
			err = c.CloseWrite()
		}
	}
	open := err == nil && drain(conn, time.Now().Add(holdTime))
	s.finish(at, f)
	if at.framing == wire.DotNet || !open || !drain(conn, opened.Add(leaseTime)) {
		return
	}
	s.keep(conn, holder)
}

// claim takes the logins that wait for a list connection from here, and puts
// those that are pending on the roster. f is nil if nobody here is online.
// holder is the user whose connection this must be, if it can be no other's.
func (s *Server) claim(at place, now time.Time) (f *fetch, encoding wire.Encoding, holder *user) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, 0, nil
	}
	f = s.fetches[at]
	if f == nil {
		f = new(fetch)
	}
	var came, fresh []*user
	for _, l := range slices.Clone(s.atHost[at.host]) {
		if wire.FramingFor(l.encoding) != at.framing {
			continue
		}
		u := s.users[l.key]
		if u != nil {
			s.forget(l) // who repeats a login has no need to be told twice
		} else if err := s.write(l.peer, l.alive); errors.Is(err, syscall.ECONNREFUSED) {
			s.drop(l) // its program has ended since, and this connection is another's
		} else if u = s.confirm(l, now); u != nil {
			fresh = append(fresh, u)
		}
		if u != nil {
			came = append(came, u)
			f.encodings = append(f.encodings, u.encoding)
		}
	}
	switch {
	case len(came) > 0:
		f.list = nil
		f.users, f.fresh = append(f.users, fresh...), append(f.fresh, fresh...)
		f.expires = now.Add(rush.Longest + dueTime)
		s.fetches[at] = f
		if len(f.encodings) == 1 {
			holder = came[0]
		}
	case len(f.encodings) == 0:
		// A list that was asked for already: whoever is online may have it again.
		i := slices.IndexFunc(s.online, func(u *user) bool {
			return slices.Contains((&login{peer: u.peer}).hosts(), at.host) && wire.FramingFor(u.encoding) == at.framing
		})
		if i < 0 {
			return nil, 0, nil
		}
		f = &fetch{encodings: []wire.Encoding{s.online[i].encoding}}
	}
	encoding = f.encodings[0]
	f.encodings = f.encodings[1:]
	f.reading++
	return f, encoding, holder
}

// listFor is what a connection of a fetch is to read. From there the changes
// follow for those who came by it.
func (s *Server) listFor(f *fetch, framing wire.Framing, encoding wire.Encoding) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.list == nil {
		f.list = s.newest(framing)
		for _, u := range f.fresh {
			u.after = f.list.at.Seq
		}
		f.fresh = nil
	}
	return f.list.in(encoding)
}

// newest is the list of now, which is put together once for all who come before
// the next change. mu is held.
func (s *Server) newest(framing wire.Framing) *list {
	if l := s.lists[framing]; l != nil && l.at == s.cfg.Roster.Position() {
		return l
	}
	users, at := s.cfg.Roster.Snapshot()
	entries := make([]wire.Entry, 0, len(users))
	for _, u := range users {
		if u.Endpoint.IsValid() { // else no datagram reaches this one
			entries = append(entries, wire.Entry{Name: u.Name, Endpoint: u.Endpoint})
		}
	}
	s.lists[framing] = &list{at: at, framing: framing, entries: entries}
	return s.lists[framing]
}

// finish notes that a connection's list has been read. With the last one of a
// fetch its users hear of what has happened since.
func (s *Server) finish(at place, f *fetch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.reading--
	if f.reading == 0 && len(f.encodings) == 0 {
		s.letGo(at, f)
	}
}

// letGo ends a fetch. mu is held.
func (s *Server) letGo(at place, f *fetch) {
	if s.fetches[at] == f {
		delete(s.fetches, at)
	}
	s.released = append(s.released, f.users...)
	f.users, f.fresh = nil, nil
	nudge(s.wake)
}

// keep waits for the end of a connection. If it is a lease, the holder's stay
// ends with it.
func (s *Server) keep(conn net.Conn, holder *user) {
	if holder != nil {
		s.mu.Lock()
		here := s.users[holder.key] == holder
		holder.lease = conn
		s.mu.Unlock()
		if !here {
			return // has left within leaseTime
		}
	}
	drain(conn, time.Time{})
	if holder == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if holder.lease == conn && !s.closing {
		s.leave(holder, "lease lost")
	}
}

// drain reads, for nothing that a client sends here means anything, until the
// time has come or the connection ends. It says whether the connection is open.
func drain(conn net.Conn, until time.Time) (open bool) {
	if err := conn.SetReadDeadline(until); err != nil {
		return false
	}
	var buf [256]byte // small: each kept connection has one
	for {
		if _, err := conn.Read(buf[:]); err != nil {
			return errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
}
