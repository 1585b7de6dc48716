package session

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p/punch"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const peerPort = 13280

// bed is a simulated network with devices that know each other.
type bed struct {
	*testing.T
	sim *hostnet.Sim

	mu      sync.Mutex
	devices map[identity.PublicKey]*peer
}

// peer is a device: what it is told, and what it has stored, outlives its
// program.
type peer struct {
	bed   *bed
	key   identity.Key
	name  string
	addr  netip.Addr
	net   hostnet.Net
	sock  net.PacketConn
	e     *Endpoint
	stop  context.CancelFunc
	ended chan error
	log   bytes.Buffer

	mu         sync.Mutex
	at         []netip.AddrPort // where others look for it
	strangers  map[identity.PublicKey]bool
	store      func(Item) error // nil stores
	stored     []string         // texts, in order
	ids        map[[16]byte]bool
	doubled    int
	typing     []bool
	paths      []Path
	introduced int
	introduce  bool // the coordinator is there
	hold       bool // Done is not called
	held       []func(error)
}

// newKeys returns n keys in the order of their IDs.
func newKeys(n int) []identity.Key {
	keys := make([]identity.Key, n)
	for i := range keys {
		keys[i] = identity.NewKey()
	}
	slices.SortFunc(keys, func(a, b identity.Key) int {
		x, y := a.Public().ID(), b.Public().ID()
		return bytes.Compare(x[:], y[:])
	})
	return keys
}

// inBed runs a test in fake time.
func inBed(t *testing.T, latency time.Duration, test func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bed{T: t, sim: hostnet.NewSim(), devices: make(map[identity.PublicKey]*peer)}
		b.sim.Latency(latency)
		test(b)
		for _, p := range b.devices {
			p.end()
		}
	})
}

// pair is two running devices, the one with the lower ID first.
func (b *bed) pair() (low, high *peer) {
	b.Helper()
	keys := newKeys(2)
	low, high = b.add("Ann", keys[0], "10.0.0.1"), b.add("Bob", keys[1], "10.0.0.2")
	low.begin()
	high.begin()
	return low, high
}

func (b *bed) add(name string, key identity.Key, addr string) *peer {
	p := &peer{bed: b, key: key, name: name, addr: netip.MustParseAddr(addr),
		ids: make(map[[16]byte]bool), strangers: make(map[identity.PublicKey]bool), introduce: true}
	p.at = []netip.AddrPort{netip.AddrPortFrom(p.addr, peerPort)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.devices[key.Public()] = p
	return p
}

func (b *bed) lookup(key identity.PublicKey) (*peer, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.devices[key]
	return p, ok
}

// open gives the device a socket and an endpoint, not running.
func (p *peer) open() {
	b := p.bed
	b.Helper()
	p.net = b.sim.Host(p.addr)
	sock, err := p.net.ListenPacket(b.Context(), netip.AddrPortFrom(netip.IPv6Unspecified(), peerPort))
	if err != nil {
		b.Fatal(err)
	}
	p.sock = sock
	p.e, err = New(Config{Conn: sock, Key: p.key, Name: p.name, Lookup: p.lookup, Introduce: p.introduction,
		Log: slog.New(slog.NewTextHandler(&p.log, nil))})
	if err != nil {
		b.Fatal(err)
	}
}

// begin starts the device's program.
func (p *peer) begin() {
	p.open()
	p.run()
}

func (p *peer) run() {
	ctx, cancel := context.WithCancel(p.bed.Context())
	p.stop, p.ended = cancel, make(chan error, 1)
	go func(e *Endpoint, ended chan error) { ended <- e.Run(ctx, p.on) }(p.e, p.ended)
}

// end stops the device's program in good order, if it runs.
func (p *peer) end() {
	if p.stop == nil {
		return
	}
	p.stop()
	if err := <-p.ended; err != nil {
		p.bed.Errorf("%s: %v", p.name, err)
	}
	p.sock.Close()
	p.stop = nil
}

// died waits for the end of a program whose socket was taken away.
func (p *peer) died() {
	if err := <-p.ended; err == nil {
		p.bed.Errorf("%s: its socket has gone, and it ends well", p.name)
	}
}

// crash ends the program as kill -9 does.
func (p *peer) crash() {
	p.bed.sim.Crash(p.addr)
	p.died()
	p.stop()
	p.stop = nil
}

func (p *peer) lookup(key identity.PublicKey) (string, []netip.AddrPort, bool) {
	other, ok := p.bed.lookup(key)
	p.mu.Lock()
	stranger := p.strangers[key]
	p.mu.Unlock()
	if !ok || stranger {
		return "", nil, false
	}
	other.mu.Lock()
	defer other.mu.Unlock()
	return other.name, slices.Clone(other.at), true
}

// introduction is the coordinator's part.
func (p *peer) introduction(to identity.PublicKey, key [punch.KeySize]byte, answer bool) {
	p.mu.Lock()
	if !answer {
		p.introduced++
	}
	there := p.introduce
	i := Introduction{Key: key[:], Answer: answer}
	for _, at := range p.at {
		i.Candidates = append(i.Candidates, punch.Candidate{Kind: wire.Candidate_KIND_HOST, At: at})
	}
	p.mu.Unlock()
	if other, ok := p.bed.lookup(to); ok && there && other.e != nil {
		go other.e.Introduced(p.key.Public(), i)
	}
}

func (p *peer) on(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := e.(type) {
	case Typing:
		p.typing = append(p.typing, e.Active)
	case Path:
		p.paths = append(p.paths, e)
	case Item:
		if other, ok := p.bed.lookup(e.From); !ok || other.name != e.Name {
			p.bed.Errorf("%s: an item of %s's", p.name, e.Name)
		}
		if p.hold {
			p.held = append(p.held, e.Done)
			return
		}
		if p.store != nil {
			if err := p.store(e); err != nil {
				go e.Done(err)
				return
			}
		}
		p.keep(e.Item)
		go e.Done(nil)
	}
}

// keep stores an item once.
func (p *peer) keep(i *wire.Item) {
	id := [16]byte(i.GetId())
	if p.ids[id] {
		p.doubled++
		return
	}
	p.ids[id] = true
	p.stored = append(p.stored, i.GetText().GetText())
}

func (p *peer) texts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.stored)
}

// message is an item with a text, and an ID that is the text's.
func message(text string) *wire.Item {
	id := make([]byte, 16)
	copy(id, text)
	binary.BigEndian.PutUint32(id[12:], uint32(len(text)))
	return &wire.Item{Id: id, SentAt: time.Now().UnixMilli(), Body: &wire.Item_Text{Text: &wire.Text{Text: text}}}
}

// send sends one text and returns where its result comes.
func (p *peer) send(to *peer, text string) <-chan error {
	result := make(chan error, 1)
	p.e.Send(to.key.Public(), message(text), func(err error) { result <- err })
	return result
}

// say sends texts until each is known to be stored, as the engine does: what
// was not reached is sent again.
func (p *peer) say(to *peer, texts ...string) {
	p.bed.Helper()
	var results []<-chan error
	for _, text := range texts {
		results = append(results, p.send(to, text))
	}
	for i, result := range results {
		if err := <-result; err != nil {
			p.bed.Errorf("%s to %s: %q: %v", p.name, to.name, texts[i], err)
		}
	}
}

func numbered(prefix string, n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprintf("%s%d", prefix, i))
	}
	return texts
}

// has fails the test unless the device has stored exactly these texts.
func (p *peer) has(want ...string) {
	p.bed.Helper()
	if got := p.texts(); !slices.Equal(got, want) {
		p.bed.Fatalf("%s has stored %d texts, %.300q; want %d, %.300q\n%s", p.name, len(got), got, len(want), want, p.log.String())
	}
}
