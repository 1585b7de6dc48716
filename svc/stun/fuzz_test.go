package stun

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v3"
)

// catcher is a socket that keeps what is written.
type catcher struct {
	net.PacketConn
	sent []caught
}

type caught struct {
	b  []byte
	to netip.AddrPort
}

func (c *catcher) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	c.sent = append(c.sent, caught{bytes.Clone(b), to})
	return len(b), nil
}

func (c *catcher) ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error) {
	return 0, netip.AddrPort{}, net.ErrClosed
}

// caughtServer is a server and all that it sends.
func caughtServer(t testing.TB) (*Server, *catcher) {
	t.Helper()
	all := new(catcher)
	s, err := New(Config{Main: all, Second: all})
	if err != nil {
		t.Fatal(err)
	}
	return s, all
}

// corpus are requests of all kinds, good and bad.
func corpus(t testing.TB) (all [][]byte) {
	for _, s := range []string{tokenRequest, cookieRequest, changeRequest, paddedRequest, rfcRequest, plainAnswer4, cookieAnswer6} {
		all = append(all, unhex(t, s))
	}
	build := func(setters ...stun.Setter) {
		all = append(all, stun.MustBuild(append([]stun.Setter{stun.TransactionID, stun.BindingRequest}, setters...)...).Raw)
	}
	build()
	build(stun.Fingerprint)
	build(padding, other, stun.Fingerprint)
	build(stun.NewUsername(token))
	build(stun.NewUsername("short"), stun.RawAttribute{Type: attrCookie, Value: make([]byte, 8)})
	build(stun.RawAttribute{Type: stun.AttrResponsePort, Value: []byte{0, 9, 0, 0}}, padding)
	build(stun.RawAttribute{Type: stun.AttrChangeRequest, Value: []byte{0, 0, 0, 6}}, padding)
	var many []stun.Setter
	for i := range 200 {
		many = append(many, stun.RawAttribute{Type: stun.AttrType(0x7000 + i)})
	}
	build(many...)
	for n := range 64 {
		build(stun.RawAttribute{Type: stun.AttrSoftware, Value: make([]byte, n)})
	}
	return all
}

// harmless holds for any datagram: at most one answer, to its source, not
// larger, with its transaction, and to a request only.
func harmless(t testing.TB, s *Server, all *catcher, datagram []byte, from netip.AddrPort, now time.Time) {
	all.sent = all.sent[:0]
	before := bytes.Clone(datagram)
	s.Handle(datagram, from, now)
	if !bytes.Equal(datagram, before) {
		t.Errorf("%x was changed", before)
	}
	if len(all.sent) == 0 {
		return
	}
	answer := all.sent[0]
	m := new(stun.Message)
	if err := stun.Decode(answer.b, m); err != nil {
		t.Fatalf("%x is answered by %x: %v", datagram, answer.b, err)
	}
	switch {
	case len(all.sent) > 1 || answer.to != from || len(answer.b) > len(datagram):
		t.Errorf("%x from %v is answered by %v", datagram, from, all.sent)
	case !Is(datagram) || datagram[0] != 0 || datagram[1] != 1:
		t.Errorf("%x is no request, and answered by %x", datagram, answer.b)
	case m.Type != stun.BindingSuccess && m.Type != stun.BindingError || !bytes.Equal(m.TransactionID[:], datagram[8:20]):
		t.Errorf("%x is answered by %x", datagram, answer.b)
	case m.Contains(stun.AttrFingerprint) && stun.Fingerprint.Check(m) != nil:
		t.Errorf("%x is answered by %x, whose fingerprint is wrong", datagram, answer.b)
	}
	// The answer does nothing at the coordinator, should it be its own neighbour.
	all.sent = all.sent[:0]
	s.Handle(answer.b, from, now)
	if len(all.sent) != 0 {
		t.Errorf("%x is answered by %x", answer.b, all.sent[0].b)
	}
}

// Nobody can have the coordinator send more than they sent, or elsewhere.
func TestNoAmplification(t *testing.T) {
	s, all := caughtServer(t)
	r := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(1_800_000_000, 0)
	answered := 0
	for _, seed := range corpus(t) {
		for i := range 2000 {
			b := bytes.Clone(seed)
			for range i % 4 {
				b[r.IntN(len(b))] = byte(r.Uint32())
			}
			if i%5 == 4 {
				b = b[:r.IntN(len(b)+1)]
			}
			now = now.Add(time.Second)
			harmless(t, s, all, b, []netip.AddrPort{seen4, seen6}[i%2], now)
			if i == 0 && len(b) >= 64 {
				answered++
			}
		}
	}
	if answered < 5 {
		t.Errorf("only %d of the corpus are long enough to be answered", answered)
	}
}

func FuzzHandle(f *testing.F) {
	for _, b := range corpus(f) {
		f.Add(b, false)
		f.Add(b, true)
	}
	s, all := caughtServer(f)
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		from := seen4
		if six {
			from = seen6
		}
		now = now.Add(time.Second) // below the rate
		harmless(t, s, all, b, from, now)
	})
}
