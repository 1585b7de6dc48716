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
	asked     map[string]chan struct{} // closed when the answer is there
}

// knowledge is how somebody was found to speak.
type knowledge struct {
	encoding classic.Encoding
	at       netip.AddrPort // the listener for which it was found out
}

func newPeers() *peers {
	return &peers{encodings: make(map[string]knowledge), asked: make(map[string]chan struct{})}
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
	p.encodings[name] = knowledge{e, at}
}

// speaks says whether somebody is known to speak e.
func (p *peers) speaks(name string, e classic.Encoding) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.encodings[name]
	return ok && k.encoding == e
}

// forget drops what was known of somebody who left: whoever comes back under
// the name may run another program.
func (p *peers) forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.encodings, name)
}

// answer takes the coordinator's word.
func (p *peers) answer(m classic.Speaks) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if waiting, ok := p.asked[m.Name]; ok {
		delete(p.asked, m.Name)
		k := p.encodings[m.Name]
		k.encoding = m.Encoding
		p.encodings[m.Name] = k
		close(waiting)
	}
}

// askTimeout is how long a message waits for the coordinator's word on how its
// receiver speaks.
const askTimeout = 200 * time.Millisecond

// encodingOf returns how to write to somebody: as they wrote, else as the
// coordinator says, else as fallback. ask sends the question.
func (p *peers) encodingOf(ctx context.Context, to p2p.Person, fallback classic.Encoding, ask func(classic.SpeaksQuery)) classic.Encoding {
	p.mu.Lock()
	if k, ok := p.encodings[to.Name]; ok && k.at == to.Addr {
		p.mu.Unlock()
		return k.encoding
	}
	if !p.connected || !p.ours {
		p.mu.Unlock()
		return fallback
	}
	answered, asked := p.asked[to.Name]
	if !asked {
		answered = make(chan struct{})
		p.asked[to.Name] = answered
	}
	p.encodings[to.Name] = knowledge{fallback, to.Addr} // until the answer comes
	p.mu.Unlock()

	ask(classic.SpeaksQuery{Name: to.Name, Endpoint: to.Addr})
	timeout := time.NewTimer(askTimeout)
	defer timeout.Stop()
	select {
	case <-answered:
	case <-timeout.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.asked, to.Name)
	return p.encodings[to.Name].encoding
}
