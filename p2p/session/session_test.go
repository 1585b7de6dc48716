package session

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"earshot/p2p"
)

func TestMessages(t *testing.T) {
	inBed(t, 2*time.Millisecond, func(b *bed) {
		low, high := b.pair()
		start := time.Now()
		low.say(high, "hello")
		// The handshake, the hellos, the message.
		if took := time.Since(start); took > 3*4*time.Millisecond+10*time.Millisecond {
			b.Errorf("the first message took %v", took)
		}
		high.has("hello")
		low.say(high, numbered("a", 500)...)
		high.say(low, numbered("b", 500)...)
		high.has(append([]string{"hello"}, numbered("a", 500)...)...)
		low.has(numbered("b", 500)...)
		if low.doubled+high.doubled > 0 {
			b.Errorf("%d items arrived twice", low.doubled+high.doubled)
		}
	})
}

// The one with the higher ID has itself introduced, and the other one dials.
func TestHigherSendsFirst(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		start := time.Now()
		high.say(low, "hello")
		low.has("hello")
		if took := time.Since(start); took > 50*time.Millisecond {
			b.Errorf("the first message took %v with a coordinator", took)
		}
		if l := high.only(); l.dialled {
			b.Error("the higher ID dialled")
		}
	})
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		high.introduce = false // no coordinator
		start := time.Now()
		high.say(low, "hello")
		low.has("hello")
		if took := time.Since(start); took < secondDialler || took > secondDialler+50*time.Millisecond {
			b.Errorf("the first message took %v without a coordinator", took)
		}
	})
}

func TestLoss(t *testing.T) {
	for _, percent := range []int{5, 20} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%d percent, seed %d", percent, seed), func(t *testing.T) {
				inBed(t, 15*time.Millisecond, func(b *bed) {
					b.lose(percent, seed)
					low, high := b.pair()
					var both sync.WaitGroup
					both.Go(func() { low.keepSaying(high, numbered("a", 300)...) })
					both.Go(func() { high.keepSaying(low, numbered("b", 300)...) })
					both.Wait()
					high.has(numbered("a", 300)...)
					low.has(numbered("b", 300)...)
				})
			})
		}
	}
}

// lose has datagrams lost at random.
func (b *bed) lose(percent int, seed uint64) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	b.sim.Loss(func(_, _ netip.AddrPort, _ []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(100) < percent
	})
}

// keepSaying says texts one after the other in windows, as the engine does: what
// could not be reached is said again, and nothing overtakes it.
func (p *peer) keepSaying(to *peer, texts ...string) {
	for len(texts) > 0 {
		window := texts[:min(len(texts), 100)]
		var results []<-chan error
		for _, text := range window {
			results = append(results, p.send(to, text))
		}
		stored, failed := 0, false
		for _, result := range results {
			switch err := <-result; {
			case err != nil && !errors.Is(err, p2p.ErrUnreachable):
				p.bed.Errorf("%s: %v", p.name, err)
				return
			case err != nil:
				failed = true
			case !failed:
				stored++
			}
		}
		texts = texts[stored:]
	}
}

// Connections that die at any moment lose nothing.
func TestConnectionsDie(t *testing.T) {
	inBed(t, 5*time.Millisecond, func(b *bed) {
		low, high := b.pair()
		stop, killer := make(chan struct{}), sync.WaitGroup{}
		random := rand.New(rand.NewPCG(7, 7))
		killer.Go(func() {
			for kills := range 40 {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(random.IntN(200)) * time.Millisecond):
				}
				victim := []*peer{low, high}[kills%2]
				for _, l := range victim.links() {
					closeConn(l.conn, code(random.IntN(3))) // with a reason or without
				}
			}
		})
		var both sync.WaitGroup
		for _, way := range [][2]*peer{{low, high}, {high, low}} {
			both.Go(func() {
				for i := range 200 {
					way[0].keepSaying(way[1], fmt.Sprintf("%d", i))
					pauseFor(10 * time.Millisecond)
				}
			})
		}
		both.Wait()
		close(stop)
		killer.Wait()
		high.has(numbered("", 200)...)
		low.has(numbered("", 200)...)
	})
}

// Of one device no more than 16 items are under way, and a receiver that stores
// nothing is as good as out of reach.
func TestSlowStore(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		high.hold = true
		var results []<-chan error
		for _, text := range numbered("", 300) {
			results = append(results, low.send(high, text))
		}
		pauseFor(stuckAfter - time.Second)
		high.mu.Lock()
		if len(high.held) != maxUnstored {
			b.Errorf("%d items are under way", len(high.held))
		}
		high.mu.Unlock()
		for _, result := range results {
			if err := <-result; !errors.Is(err, p2p.ErrUnreachable) {
				b.Fatalf("got %v", err)
			}
		}
		// The items that were not stored still count, on another connection.
		again := low.send(high, "again")
		pauseFor(5 * time.Second)
		high.mu.Lock()
		if len(high.held) != maxUnstored {
			b.Errorf("%d items are under way", len(high.held))
		}
		held := high.held
		high.held, high.hold = nil, false
		high.mu.Unlock()
		for _, done := range held {
			done(nil)
		}
		if err := <-again; err != nil {
			b.Error(err)
		}
		high.has("again")
	})
}

func TestNobodyThere(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		keys := newKeys(2)
		low, high := b.add("Ann", keys[0], "10.0.0.1"), b.add("Bob", keys[1], "10.0.0.2")
		low.begin()
		start := time.Now()
		if err := <-low.send(high, "x"); !errors.Is(err, p2p.ErrUnreachable) {
			b.Errorf("nobody listens: %v", err)
		}
		if took := time.Since(start); took != giveUp {
			b.Errorf("it was given up after %v", took)
		}
		high.at = nil
		start = time.Now()
		if err := <-low.send(high, "x"); !errors.Is(err, p2p.ErrNotConnected) {
			b.Errorf("no address: %v", err)
		}
		if took := time.Since(start); took > 0 {
			b.Errorf("no address: it took %v", took)
		}
		low.strangers[high.key.Public()] = true
		if err := <-low.send(high, "x"); !errors.Is(err, p2p.ErrNotConnected) {
			b.Errorf("an unknown device: %v", err)
		}
	})
}

// Items that are sent before Run go out when it runs; after it they fail.
func TestBeforeAndAfterRun(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		keys := newKeys(2)
		low, high := b.add("Ann", keys[0], "10.0.0.1"), b.add("Bob", keys[1], "10.0.0.2")
		high.begin()
		low.open()
		result := low.send(high, "early")
		low.run()
		if err := <-result; err != nil {
			b.Error(err)
		}
		high.hold = true
		pending := low.send(high, "pending")
		pauseFor(time.Second)
		low.end()
		if err := <-pending; !errors.Is(err, p2p.ErrNotConnected) {
			b.Errorf("pending at the end: %v", err)
		}
		if err := <-low.send(high, "late"); !errors.Is(err, p2p.ErrNotConnected) {
			b.Errorf("after the end: %v", err)
		}
		low.e.Wake()
		low.e.Forget(high.key.Public())
		low.e.Introduced(high.key.Public(), Introduction{})
		pauseFor(time.Second)
		if n := len(high.links()); n > 0 {
			b.Errorf("the other one has %d connections left", n)
		}
	})
}

func TestForget(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		low.say(high, "one")
		high.hold = true
		pending := low.send(high, "two")
		pauseFor(time.Second)
		low.mu.Lock()
		low.strangers[high.key.Public()] = true
		low.mu.Unlock()
		low.e.Forget(high.key.Public())
		if err := <-pending; !errors.Is(err, p2p.ErrNotConnected) {
			b.Errorf("got %v", err)
		}
		pauseFor(time.Second)
		if n := len(low.links()) + len(high.links()); n > 0 {
			b.Errorf("%d connections are left", n)
		}
		if err := <-high.send(low, "back"); !errors.Is(err, p2p.ErrUnreachable) {
			b.Errorf("got %v", err)
		}
		low.has()
	})
}
