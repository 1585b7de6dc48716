package classic

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"earshot/p2p"
	"earshot/protocol/classic"
)

// peers is what senders know of the login and of other people's encodings. One
// mutex guards it.
type peers struct {
	mu        sync.Mutex
	connected bool
	ours      bool // the coordinator answers questions
	encodings map[string]knowledge
	asked     map[string]*question
}

// question is one that the coordinator was asked and has not answered.
type question struct {
	at       netip.AddrPort
	answered chan struct{} // closed when the answer is there
}

// knowledge is how somebody was found to speak.
type knowledge struct {
	encoding classic.Encoding
	at       netip.AddrPort // the listener for which it was found out
	guessed  time.Time      // when nobody answered; zero if it is certain
}

func newPeers() *peers {
	return &peers{encodings: make(map[string]knowledge), asked: make(map[string]*question)}
}

func (p *peers) setConnected(connected bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connected = connected
	if !connected {
		p.ours = false
	}
}

func (p *peers) isConnected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connected
}

// setOurs says that the coordinator knows Earshot's own verbs.
func (p *peers) setOurs() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ours = true
}

// learn notes the encoding of a datagram from somebody at a listener.
func (p *peers) learn(name string, at netip.AddrPort, e classic.Encoding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.encodings[name] = knowledge{encoding: e, at: at}
}

// speaks says whether somebody is known to speak e.
func (p *peers) speaks(name string, e classic.Encoding) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.encodings[name]
	return ok && k.guessed.IsZero() && k.encoding == e
}

// forget drops what was known of somebody who left: whoever comes back under
// the name may run another program.
func (p *peers) forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.encodings, name)
	delete(p.asked, name)
}

// answer takes the coordinator's word, however late it comes.
func (p *peers) answer(m classic.Speaks) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.asked[m.Name]; q != nil {
		delete(p.asked, m.Name)
		p.encodings[m.Name] = knowledge{encoding: m.Encoding, at: q.at}
		close(q.answered)
	}
}

const (
	// askTimeout is how long a message waits for the coordinator's word on how
	// its receiver speaks.
	askTimeout = 200 * time.Millisecond
	// guessFor is how long it isn't asked again if that did not come.
	guessFor = 30 * time.Second
)

// encodingOf returns how to write to somebody: as they wrote, else as the
// coordinator says, else as fallback. ask sends the question; everyone who
// wants to know the same waits for one answer.
func (p *peers) encodingOf(ctx context.Context, to p2p.Person, fallback classic.Encoding, ask func(classic.SpeaksQuery)) classic.Encoding {
	p.mu.Lock()
	k, known := p.encodings[to.Name]
	if known && k.at == to.Addr && (k.guessed.IsZero() || time.Since(k.guessed) < guessFor) {
		p.mu.Unlock()
		return k.encoding
	}
	if !p.connected || !p.ours {
		p.mu.Unlock()
		return fallback
	}
	q := p.asked[to.Name]
	first := q == nil || q.at != to.Addr || known
	if q == nil || q.at != to.Addr {
		q = &question{at: to.Addr, answered: make(chan struct{})}
		p.asked[to.Name] = q
	}
	delete(p.encodings, to.Name)
	p.mu.Unlock()

	if first {
		ask(classic.SpeaksQuery{Name: to.Name, Endpoint: to.Addr})
	}
	timeout := time.NewTimer(askTimeout)
	defer timeout.Stop()
	select {
	case <-q.answered:
	case <-timeout.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, known := p.encodings[to.Name]; known && k.at == to.Addr {
		return k.encoding
	}
	p.encodings[to.Name] = knowledge{fallback, to.Addr, time.Now()}
	return fallback
}
