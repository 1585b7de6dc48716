package classic

import (
	"net/netip"
	"time"

	wire "earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/svc/roster"
)

// batch is what there is to say of some changes, in one encoding, put so that
// the system takes many datagrams at once (hostnet.WriteSegments): those of one
// size lie behind one another. Of one name, and of one endpoint, the order is
// that of the changes; of different ones it means nothing.
type batch struct {
	parts    []part
	messages int
}

// part is datagrams of one size.
type part struct {
	size int
	buf  []byte
}

// add puts a datagram about a name and an endpoint behind what there is of
// these, into the first part that has its size and room.
func (b *batch) add(datagram []byte, behind int) (at int) {
	b.messages++
	for i := behind; i < len(b.parts); i++ {
		p := &b.parts[i]
		if p.size == len(datagram) && len(p.buf)+p.size <= min(hostnet.MaxSegments*p.size, hostnet.MaxSegmentBytes) {
			p.buf = append(p.buf, datagram...)
			return i
		}
	}
	b.parts = append(b.parts, part{size: len(datagram), buf: append([]byte(nil), datagram...)})
	return len(b.parts) - 1
}

// batches are some changes in every encoding in which they were asked for.
type batches struct {
	changes []roster.Change
	about   map[uint64]bool // whose changes they are
	encoded [3]*batch
}

func newBatches(changes []roster.Change) *batches {
	b := &batches{changes: changes, about: make(map[uint64]bool, len(changes))}
	for _, c := range changes {
		b.about[c.User.ID] = true
	}
	return b
}

func (b *batches) in(encoding wire.Encoding) *batch {
	if b.encoded[encoding] == nil {
		b.encoded[encoding] = newBatch(b.changes, encoding)
	}
	return b.encoded[encoding]
}

func newBatch(changes []roster.Change, encoding wire.Encoding) *batch {
	b := new(batch)
	names, places := make(map[string]int), make(map[netip.AddrPort]int)
	for _, c := range changes {
		key := wire.NameKey(c.User.Name)
		for _, m := range messages(c) {
			place := endpointOf(m)
			at := b.add(encoding.Append(nil, m.String()), max(names[key], places[place]))
			names[key], places[place] = at, at
		}
	}
	return b
}

// endpointOf is that of a login or logout.
func endpointOf(m wire.Message) netip.AddrPort {
	switch m := m.(type) {
	case wire.Login:
		return m.Endpoint
	case wire.Logout:
		return m.Endpoint
	}
	return netip.AddrPort{}
}

// sendBatch sends all of it to a user. An error is mostly about an earlier
// datagram (see write), so what has not left for it is sent once more.
func (s *Server) sendBatch(u *user, b *batch) {
	for _, p := range b.parts {
		err := s.writeAll(u.peer, p.buf, p.size)
		if err != nil {
			s.failed(u, err, time.Now())
			err = s.writeAll(u.peer, p.buf, p.size)
		}
		if err != nil {
			return
		}
	}
}
