package session

import (
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p/punch"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// counter counts what the network carries to one host.
type counter struct {
	mu        sync.Mutex
	datagrams int
	bytes     int
	largest   int
}

func (c *counter) watch(sim *hostnet.Sim, victim netip.Addr) {
	sim.Loss(func(_, to netip.AddrPort, b []byte) bool {
		if to.Addr() != victim {
			return false
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.datagrams++
		c.bytes += len(b)
		c.largest = max(c.largest, len(b))
		return false
	})
}

func (c *counter) take() (datagrams, bytes, largest int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	datagrams, bytes, largest = c.datagrams, c.bytes, c.largest
	c.datagrams, c.bytes, c.largest = 0, 0, 0
	return datagrams, bytes, largest
}

// A device that names a third party's addresses makes nobody send much there:
// probes only, never QUIC, and the more it is introduced, the less it is heard.
func TestNoAmplification(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		victim := netip.MustParseAddr("203.0.113.99")
		b.sim.Host(victim)
		high.mu.Lock()
		high.at = nil // it is nowhere to be found
		high.mu.Unlock()
		var c counter
		c.watch(b.sim, victim)
		evil := Introduction{Nat: wire.Nat_NAT_EASY}
		for i := range 8 {
			evil.Candidates = append(evil.Candidates, punch.Candidate{
				Kind: wire.Candidate_KIND_REFLEXIVE, At: netip.AddrPortFrom(victim, uint16(53+i)),
			})
		}
		const introductions = 100
		for i := range introductions {
			evil.Key = make([]byte, punch.KeySize)
			evil.Key[0] = byte(i)
			low.e.Introduced(high.key.Public(), evil)
		}
		pauseFor(30 * time.Second)
		datagrams, bytes, largest := c.take()
		// One search stands at a time, so those that are let through take each
		// other's place: at most a schedule's worth, and what had begun.
		if datagrams == 0 || datagrams > 8*16+introductionsAtOnce*8 || largest > punch.Size {
			b.Errorf("%d introductions had %d datagrams sent, %d bytes, the largest of %d", introductions, datagrams, bytes, largest)
		}
		low.e.mu.Lock()
		left := len(low.e.exchanges)
		low.e.mu.Unlock()
		if left > 0 {
			b.Errorf("%d searches are left", left)
		}
	})
}

// A probe is answered once, by as much, where it came from; what is none is not
// answered at all. The device with the higher ID makes no connections there.
func TestPongs(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		stranger := netip.MustParseAddr("203.0.113.99")
		conn, err := b.sim.Host(stranger).ListenPacket(t.Context(), netip.AddrPortFrom(stranger, 0))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		key := [punch.KeySize]byte{1}
		high.e.Introduced(low.key.Public(), Introduction{Key: key[:]})
		synctest.Wait()
		var c counter
		c.watch(b.sim, stranger)
		say := func(datagram []byte) int {
			if err := hostnet.WriteTTL(conn, datagram, high.at[0], 0); err != nil {
				b.Fatal(err)
			}
			pauseFor(5 * time.Millisecond)
			n, _, largest := c.take()
			if largest > punch.Size {
				b.Errorf("an answer of %d bytes", largest)
			}
			return n
		}
		mine, others := punch.NewExchange(key, true), punch.NewExchange([punch.KeySize]byte{2}, true)
		ping := mine.Append(nil, punch.Probe{Type: punch.Ping, Tx: punch.NewTransaction()})
		if n := say(ping); n < 1 {
			b.Error("a ping is not answered")
		}
		pauseFor(20 * time.Second) // the search is over
		high.e.Introduced(low.key.Public(), Introduction{Key: key[:]})
		synctest.Wait()
		c.take()
		for name, datagram := range map[string][]byte{
			"of another exchange": others.Append(nil, punch.Probe{Type: punch.Ping}),
			"that is cut short":   ping[:punch.Size-1],
			"reflected":           punch.NewExchange(key, false).Append(nil, punch.Probe{Type: punch.Ping}),
			"that is a pong":      mine.Append(nil, punch.Probe{Type: punch.Pong, Tx: punch.NewTransaction(), Seen: high.at[0]}),
		} {
			if n := say(datagram); n != 0 {
				b.Errorf("a probe %s is answered by %d datagrams", name, n)
			}
		}
	})
}

// Introductions of a device that nobody knows are not answered.
func TestStrangersAreNotAnswered(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, _ := b.pair()
		answered := 0
		low.e.cfg.Introduce = func(identity.PublicKey, [punch.KeySize]byte, bool) { answered++ }
		low.e.Introduced(identity.NewKey().Public(), Introduction{Key: make([]byte, punch.KeySize)})
		pauseFor(time.Second)
		if answered > 0 {
			b.Error("a stranger was told where this device is")
		}
	})
}
