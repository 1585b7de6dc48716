package classic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"earshot/p2p"
	"earshot/protocol/classic"
	"earshot/protocol/hostnet"
)

// Contact is how somebody is reached by talk datagrams.
type Contact struct {
	Addr     netip.AddrPort
	Encoding classic.Encoding
}

// Talker exchanges talk datagrams with classic people, without a login of its
// own: whoever logs in by the secure protocol tells the coordinator where it
// listens, and learns from it where the others do.
type Talker struct {
	net     hostnet.Net
	name    string
	outlets *outlets
	rates   *rates
	lanes   *lanes

	mu       sync.Mutex
	listener net.PacketConn
}

// NewTalker returns a Talker for the person of that name. It opens nothing.
func NewTalker(n hostnet.Net, name string) *Talker {
	return &Talker{net: n, name: name, outlets: newOutlets(n), rates: newRates(), lanes: newLanes()}
}

// Encoding is what a Talker reads best, and what others are told to write to
// it in. It is read in every other encoding too.
const Encoding = classic.UTF8

// Open opens the listener at any free port of all the host's addresses, and
// returns the port. It is called once, before Run.
func (t *Talker) Open(ctx context.Context, local netip.Addr) (uint16, error) {
	listener, err := t.net.ListenPacket(ctx, netip.AddrPortFrom(local, 0))
	if err != nil {
		return 0, fmt.Errorf("%w: no port to listen on: %w", p2p.ErrTransport, err)
	}
	if c, ok := listener.(interface{ SetReadBuffer(int) error }); ok {
		_ = c.SetReadBuffer(receiveBuffer) // best effort: the system has a limit
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listener = listener
	return hostnet.AddrPort(listener.LocalAddr()).Port(), nil
}

// Run reads what classic people send, until ctx ends; then it closes
// everything. lookup says how somebody on the roster is reached; on is called
// from one goroutine.
func (t *Talker) Run(ctx context.Context, lookup func(name string) (Contact, bool), on func(p2p.Received)) error {
	t.mu.Lock()
	listener := t.listener
	t.mu.Unlock()
	if listener == nil {
		return errors.New("a talker runs after it is opened")
	}
	defer t.lanes.open(ctx)()
	defer t.outlets.close()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	buf := make([]byte, classic.MaxDatagram+1)
	for {
		n, addr, err := listener.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err == nil {
			t.take(buf[:n], hostnet.AddrPort(addr), lookup, on)
		}
	}
}

// take reports a datagram if it is somebody's talk.
func (t *Talker) take(b []byte, from netip.AddrPort, lookup func(string) (Contact, bool), on func(p2p.Received)) {
	m, encoding, err := classic.ParseDatagram(b)
	talk, ok := m.(classic.Talk)
	if err != nil || !ok || !t.rates.allow(from.Addr(), time.Now()) {
		return // anybody can send anything
	}
	if encoding != classic.GB18030 {
		// The same bytes may read otherwise to somebody who writes Chinese.
		if other, _, err := classic.ParseDatagramAs(classic.GB18030, b); err == nil {
			if chinese, ok := other.(classic.Talk); ok {
				if c, known := lookup(chinese.Sender); known && c.Encoding == classic.GB18030 {
					talk = chinese
				}
			}
		}
	}
	talk = talk.ResolveSender(func(name string) bool {
		_, known := lookup(name)
		return known || name == t.name
	})
	if classic.ValidateName(talk.Sender) != nil {
		return
	}
	contact, known := lookup(talk.Sender)
	on(received(talk.Sender, talk.Text, p2p.Direct, known && contact.Addr.Addr() == from.Addr()))
}

// Send sends a text to a classic person, after those that were handed over
// before. done is as p2p.Transport.Send's.
func (t *Talker) Send(name string, to Contact, text string, done func(error)) {
	t.lanes.add(name, func(ctx context.Context) {
		done(t.outlets.send(ctx, to.Addr, talks(t.name, text, to.Encoding)))
	})
}
