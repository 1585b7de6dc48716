package classic

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p"
	"earshot/protocol/classic"
)

// Everyone who writes to the same person waits for one answer, a guess is no
// knowledge, and a late answer is used.
func TestEncodingIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeers()
		ann := p2p.Person{Name: "Ann", Addr: annAt}
		asked := 0
		of := func() classic.Encoding {
			return p.encodingOf(t.Context(), ann, classic.UTF16LE, func(classic.SpeaksQuery) { asked++ })
		}
		if e := of(); e != classic.UTF16LE || asked != 0 {
			t.Errorf("of a coordinator that can't answer: %v, %d questions", e, asked)
		}
		p.setConnected(true)
		p.setOurs()

		if e := of(); e != classic.UTF16LE || asked != 1 {
			t.Errorf("unanswered: %v, %d questions", e, asked)
		}
		if e := of(); e != classic.UTF16LE || asked != 1 {
			t.Errorf("right after a guess: %v, %d questions", e, asked)
		}
		if p.speaks("Ann", classic.UTF16LE) {
			t.Error("a guess is taken for knowledge")
		}
		p.answer(classic.Speaks{Name: "Ann", Encoding: classic.GB18030}) // late
		if e := of(); e != classic.GB18030 || asked != 1 {
			t.Errorf("after a late answer: %v, %d questions", e, asked)
		}

		p.forget("Ann")
		var senders sync.WaitGroup
		for range 3 {
			senders.Go(func() {
				if e := of(); e != classic.UTF8 {
					t.Errorf("of several at once: %v", e)
				}
			})
		}
		time.Sleep(askTimeout / 2)
		p.answer(classic.Speaks{Name: "Ann", Encoding: classic.UTF8})
		senders.Wait()
		if asked != 2 {
			t.Errorf("several at once asked %d times", asked-1)
		}

		// At another address it may be another program.
		ann.Addr = boAt
		of()
		time.Sleep(guessFor)
		of()
		if asked != 4 {
			t.Errorf("%d questions in all, not 4", asked)
		}
		p.learn("Ann", boAt, classic.GB18030)
		if e := of(); e != classic.GB18030 || asked != 4 {
			t.Errorf("after a message from Ann: %v, %d questions", e, asked)
		}
	})
}
