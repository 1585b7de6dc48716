package session

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p"
)

// pauseFor waits in the fake time of a bubble.
func pauseFor(d time.Duration) { <-time.After(d) }

// links are the connections that the device's program has now.
func (p *peer) links() (list []*link) {
	synctest.Wait() // the device's goroutine owns them
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	for _, d := range p.e.devices {
		for _, l := range d.links {
			list = append(list, l)
		}
	}
	return list
}

// only is the device's one connection, once everything is quiet.
func (p *peer) only() *link {
	p.bed.Helper()
	links := p.links()
	if len(links) != 1 {
		p.bed.Fatalf("%s has %d connections\n%s", p.name, len(links), p.log.String())
	}
	return links[0]
}

// Both dial at one time, to within a round trip: one connection stays, the one
// that the lower ID dialled or the one that came first by far.
func TestBothDial(t *testing.T) {
	for i := range 50 {
		inBed(t, 4*time.Millisecond, func(b *bed) {
			low, high := b.pair()
			low.introduce, high.introduce = false, false
			// The higher one dials 300 ms after it sends, the lower one at once.
			fromHigh := high.send(low, "from high")
			pauseFor(secondDialler + time.Duration(i-25)*time.Millisecond)
			fromLow := low.send(high, "from low")
			for _, result := range []<-chan error{fromHigh, fromLow} {
				if err := <-result; err != nil {
					b.Fatalf("offset %d: %v", i-25, err)
				}
			}
			low.say(high, "more")
			high.say(low, "more")
			pauseFor(12 * time.Second)
			low.say(high, "and more")
			high.say(low, "and more")
			low.has("from high", "more", "and more")
			high.has("from low", "more", "and more")
			if l, h := low.only(), high.only(); l.dialled == h.dialled {
				b.Fatalf("offset %d: they kept different connections", i-25)
			}
		})
	}
}

func TestCrash(t *testing.T) {
	for _, sender := range []string{"low", "high"} {
		t.Run("of the peer of the "+sender, func(t *testing.T) {
			inBed(t, time.Millisecond, func(b *bed) {
				from, to := b.pair()
				if sender == "high" {
					from, to = to, from
				}
				from.say(to, "before")
				to.crash()
				result := from.send(to, "meanwhile")
				pauseFor(700 * time.Millisecond)
				start := time.Now()
				to.begin()
				if err := <-result; err != nil {
					b.Fatal(err)
				}
				if took := time.Since(start); took > 3*time.Second {
					b.Errorf("the peer was back after %v", took)
				}
				to.has("before", "meanwhile")

				to.crash()
				to.begin()
				start = time.Now()
				from.say(to, "after")
				if took := time.Since(start); took > 3*time.Second {
					b.Errorf("the message after a restart took %v", took)
				}
			})
		})
	}
}

// A peer that starts again right away, and has something to say itself, finds
// the other one with a connection that is younger than the rule for connections
// of one time.
func TestCrashAtOnce(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		low.say(high, "one")
		high.crash()
		high.begin()
		start := time.Now()
		high.say(low, "two")
		if took := time.Since(start); took > 3*time.Second {
			b.Errorf("it took %v", took)
		}
		low.say(high, "three")
		high.has("one", "three")
	})
}

func TestPowerCut(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		low.say(high, "before")
		b.sim.Kill(high.addr)
		high.died()
		high.stop()
		high.stop = nil
		start := time.Now()
		if err := <-low.send(high, "lost"); !errors.Is(err, p2p.ErrUnreachable) {
			b.Fatalf("got %v", err)
		}
		if took := time.Since(start); took < giveUp || took > giveUp+mostPatience+2*time.Second {
			b.Errorf("it was given up after %v", took)
		}
		if l := low.links(); len(l) > 0 {
			b.Errorf("%d connections are left", len(l))
		}
	})
}

// The network is away for a while, shorter than anybody gives up.
func TestCableOut(t *testing.T) {
	for _, away := range []time.Duration{time.Second, 4 * time.Second, 8 * time.Second} {
		inBed(t, time.Millisecond, func(b *bed) {
			low, high := b.pair()
			low.say(high, "before")
			b.sim.Down(high.addr, true)
			result := low.send(high, "meanwhile")
			pauseFor(away)
			b.sim.Down(high.addr, false)
			start := time.Now()
			if err := <-result; err != nil {
				b.Fatalf("after %v: %v", away, err)
			}
			if took := time.Since(start); took > 3*time.Second {
				b.Errorf("after %v it took %v", away, took)
			}
			high.has("before", "meanwhile")
		})
	}
}

func TestAddressChange(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		low.say(high, "before")
		b.sim.Kill(high.addr) // no word to anybody
		high.died()
		high.stop()
		high.mu.Lock()
		high.addr = netip.MustParseAddr("10.0.0.77")
		high.at = []netip.AddrPort{netip.AddrPortFrom(high.addr, peerPort)}
		high.mu.Unlock()
		result := low.send(high, "meanwhile")
		high.begin()
		start := time.Now()
		if err := <-result; err != nil {
			b.Fatal(err)
		}
		if took := time.Since(start); took > 5*time.Second {
			b.Errorf("the message to the new address took %v", took)
		}
		high.has("before", "meanwhile")
		pauseFor(2 * drainFor)
		if at := low.only().at.Addr(); at != high.addr {
			b.Errorf("it is reached at %v", at)
		}
	})
}

// A host that wakes tests its connections, and is back within three seconds.
func TestWake(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		low.say(high, "before")
		high.crash()
		high.begin()
		low.e.Wake()
		pauseFor(2 * time.Second)
		if l := low.links(); len(l) > 0 {
			b.Error("a dead connection has passed the test")
		}
		low.say(high, "after")
		one := low.only()
		low.e.Wake()
		pauseFor(2 * time.Second)
		if low.only() != one {
			b.Error("a good connection was replaced")
		}
		// With something to send nobody waits for the result of the test.
		b.sim.Down(high.addr, true)
		result := low.send(high, "asleep")
		pauseFor(9 * time.Second)
		b.sim.Down(high.addr, false)
		low.e.Wake()
		start := time.Now()
		if err := <-result; err != nil {
			b.Fatal(err)
		}
		if took := time.Since(start); took > 3*time.Second {
			b.Errorf("it took %v", took)
		}
	})
}

func TestIdle(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		low.say(high, "one")
		pauseFor(idleAfter - 5*time.Second)
		low.only()
		low.say(high, "two")
		pauseFor(idleAfter - 5*time.Second)
		first := low.only()
		pauseFor(10 * time.Second)
		if n := len(low.links()) + len(high.links()); n > 0 {
			b.Fatalf("%d connections are left", n)
		}
		pauseFor(lingerFor + time.Second)
		low.e.mu.Lock()
		n := len(low.e.devices)
		low.e.mu.Unlock()
		if n > 0 {
			b.Errorf("%d devices have a goroutine left", n)
		}
		high.say(low, "three")
		low.say(high, "four")
		high.has("one", "two", "four")
		low.has("three")
		if low.only() == first {
			b.Error("the connection is the old one")
		}
		low.mu.Lock()
		defer low.mu.Unlock()
		var routes []p2p.Route
		for _, path := range low.paths {
			routes = append(routes, path.Route)
			if path.Route != p2p.RouteNone && path.At != high.at[0] || path.Why != "" || path.Device != high.key.Public() {
				b.Errorf("a path to %v", path.At)
			}
		}
		if fmt.Sprint(routes) != "[direct none direct]" {
			b.Errorf("paths were reported %v", routes)
		}
	})
}

func TestTyping(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		low.e.Typing(high.key.Public(), true) // no session: nothing
		pauseFor(time.Second)
		low.say(high, "x")
		low.e.Typing(high.key.Public(), true)
		low.e.Typing(high.key.Public(), false)
		pauseFor(time.Second)
		high.mu.Lock()
		defer high.mu.Unlock()
		if fmt.Sprint(high.typing) != "[true false]" {
			b.Errorf("got %v", high.typing)
		}
	})
}

// What a receiver says of an item is what the sender is told.
func TestAnswers(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		full := false
		high.store = func(i Item) error {
			switch i.Item.GetText().GetText() {
			case "refuse":
				return fmt.Errorf("%w: Bob does not take messages from you.", p2p.ErrRefusedItem)
			case "later":
				if full {
					return errors.New("the disk is full")
				}
			}
			return nil
		}
		err := <-low.send(high, "refuse")
		if !errors.Is(err, p2p.ErrRefusedItem) || err.Error() != "Bob does not take messages from you." {
			b.Errorf("got %v", err)
		}
		high.mu.Lock()
		full = true
		high.mu.Unlock()
		start := time.Now()
		if err := <-low.send(high, "later"); !errors.Is(err, p2p.ErrUnreachable) {
			b.Errorf("got %v", err)
		}
		if took := time.Since(start); took > time.Second {
			b.Errorf("it took %v to say so", took)
		}
		high.mu.Lock()
		full = false
		high.mu.Unlock()
		low.say(high, "later")
		high.has("later")
	})
}
