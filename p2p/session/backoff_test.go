package session

import (
	"errors"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"

	"github.com/quic-go/quic-go"
)

// insist sends a text again the moment it fails, until it is stored.
func (p *peer) insist(to *peer, text string) {
	p.bed.Helper()
	for {
		switch err := <-p.send(to, text); {
		case err == nil:
			return
		case !errors.Is(err, p2p.ErrUnreachable):
			p.bed.Errorf("%s: %v", p.name, err)
			return
		}
	}
}

// A device that can't store anything now is asked again after pauses that grow,
// however fast the sender repeats itself, and although it has something to say
// itself meanwhile, which makes new connections.
func TestLater(t *testing.T) {
	for _, name := range []string{"quiet", "talking"} {
		t.Run(name, func(t *testing.T) {
			inBed(t, time.Millisecond, func(b *bed) {
				low, high := b.pair()
				start := time.Now()
				var asked []time.Time
				high.store = func(Item) error {
					if time.Since(start) > time.Minute {
						return nil
					}
					asked = append(asked, time.Now())
					return errors.New("the disk is full")
				}
				said := make(chan struct{})
				go func() {
					defer close(said)
					for _, text := range numbered("", 50) {
						if name == "talking" {
							pauseFor(time.Second)
							high.insist(low, text)
						}
					}
				}()
				low.insist(high, "important")
				if took := time.Since(start); took > time.Minute+longestPause+time.Second {
					b.Errorf("there was room after a minute, and it took %v", took)
				}
				<-said
				high.has("important")
				if name == "talking" {
					low.has(numbered("", 50)...)
				}
				if len(asked) < 12 || len(asked) > 20 {
					b.Fatalf("it was asked %d times in a minute", len(asked))
				}
				want := shortestPause
				for i := range asked[1:] {
					if gap := asked[i+1].Sub(asked[i]); gap < want {
						b.Errorf("pause %d is %v, want %v", i, gap, want)
					}
					want = min(2*want, longestPause)
				}
				// What was stored ends it.
				begin := time.Now()
				low.say(high, "more")
				if took := time.Since(begin); took > 100*time.Millisecond {
					b.Errorf("the next message took %v", took)
				}
			})
		})
	}
}

// A device that greets and hangs up, without a reason that would be final, is
// not connected to in a loop, and not forever.
func TestHangsUp(t *testing.T) {
	for _, why := range []code{codeLost, codeShutdown, codeReplaced, codeStuck, codeStranger} {
		t.Run(why.String(), func(t *testing.T) {
			inBed(t, time.Millisecond, func(b *bed) {
				low, _ := b.pair()
				eve := b.intrude("Eve", "10.0.0.66")
				defer eve.close()
				to, _ := b.lookup(eve.key.Public())
				listener, err := eve.tr.Listen(identity.ServerTLS(eve.key.Certificate(), identity.ALPNPeer, nil), nil)
				if err != nil {
					t.Fatal(err)
				}
				greeted, ended := 0, make(chan struct{})
				go func() {
					defer close(ended)
					for {
						conn, err := listener.Accept(b.Context())
						if err != nil {
							return
						}
						if stream, err := conn.AcceptStream(b.Context()); err == nil {
							_, _ = stream.Write(hello("Eve"))
							greeted++
							pauseFor(10 * time.Millisecond) // the hello arrives
						}
						_ = conn.CloseWithError(quic.ApplicationErrorCode(why), "")
					}
				}()
				start := time.Now()
				if err := <-low.send(to, "x"); !errors.Is(err, p2p.ErrUnreachable) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(start); took > stuckAfter+longestPause {
					t.Errorf("it was given up after %v", took)
				}
				listener.Close()
				<-ended
				if greeted < 3 || greeted > 15 {
					t.Errorf("it was greeted %d times", greeted)
				}
			})
		})
	}
}
