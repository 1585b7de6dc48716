package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// Secure is a crowd of the secure protocol. Every client has a key of its own,
// and returns with the position that it knew.
type Secure struct {
	to      netip.AddrPort
	clients []*secureClient
	running sync.WaitGroup

	mu      sync.Mutex
	ledgers map[uint64]*ledger // by epoch
	current *ledger            // of the newest epoch
	online  map[int]uint64     // client: its face
	expect  digest             // the faces of those online
	failed  error              // the first thing that can't be right
}

var (
	_ Crowd    = (*Secure)(nil)
	_ Statuses = (*Secure)(nil)
)

// secureClient is one of them. What has no other comment belongs to whoever
// logs it in and out.
type secureClient struct {
	crowd       *Secure
	index       int
	certificate tls.Certificate
	sessions    tls.ClientSessionCache // nil for who never comes by ticket
	raw         net.Conn
	conn        atomic.Pointer[tls.Conn] // of the last login; anybody may write to it
	ended       chan struct{}            // closed when nobody reads the connection any more
	text        string                   // of the status
	slow        atomic.Bool              // it reads nothing for now
	awake       chan struct{}

	// Where it stands, written by its reader.
	epoch, sequence atomic.Uint64
	at              atomic.Int64 // when it came there, Unix time in ns
	keepalive       atomic.Int64 // what it was told, in s
	led             *ledger
	frames          []*frame // of a snapshot of which more come
	body            []byte   // of the frame that was read last
}

// firstText is everybody's status at first.
const firstText = "here"

// NewSecure makes the keys of n clients, which takes a while, and connects
// nobody.
func NewSecure(to netip.AddrPort, n int) *Secure {
	s := &Secure{to: to, ledgers: make(map[uint64]*ledger), online: make(map[int]uint64)}
	for i := range n {
		s.clients = append(s.clients, &secureClient{
			crowd: s, index: i, certificate: identity.NewKey().Certificate(), text: firstText, awake: make(chan struct{}, 1),
			sessions: tls.NewLRUClientSessionCache(1),
		})
	}
	return s
}

// To has the crowd log in elsewhere from now on.
func (s *Secure) To(to netip.AddrPort) { s.to = to }

// face is the fingerprint of what a crowd knows of its own clients.
func face(name, text []byte) uint64 {
	return 31*maphash.Bytes(seed, name) + maphash.Bytes(seed, text)
}

// expected notes that a client is online with its text, or is not. The old
// face goes.
func (s *Secure) expected(c *secureClient, online bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, was := s.online[c.index]; was {
		s.expect.remove(entry{face: old})
		delete(s.online, c.index)
	}
	if online {
		f := face([]byte(name(c.index)), []byte(c.text))
		s.online[c.index] = f
		s.expect.add(entry{face: f})
	}
}

// Guest says that a client is online who is another crowd's, under its name and
// with the first status of every client, or is not any more.
func (s *Secure) Guest(client int, online bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := entry{face: face([]byte(name(client)), []byte(firstText))}
	if online {
		s.expect.add(e)
	} else {
		s.expect.remove(e)
	}
}

// Login implements Crowd.
func (s *Secure) Login(ctx context.Context, client int) error {
	c := s.clients[client]
	raw, err := dial(ctx, client, s.to)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLoad, err)
	}
	welcome, in, err := c.greet(ctx, raw)
	if err != nil {
		raw.Close()
		return fmt.Errorf("%w: %s was not logged in: %w", ErrLoad, name(client), err)
	}
	if welcome.Epoch != c.epoch.Load() {
		c.sequence.Store(0)
		c.epoch.Store(welcome.Epoch)
	}
	c.keepalive.Store(int64(welcome.KeepaliveSeconds))
	c.frames = nil // of a snapshot that the end of the last connection cut short
	c.led = s.ledger(welcome.Epoch)
	c.raw, c.ended = raw, make(chan struct{})
	s.expected(c, true)
	ended := c.ended
	s.running.Go(func() {
		defer close(ended)
		s.fail(c.follow(in))
	})
	return nil
}

// greet is the conversation up to the Welcome.
func (c *secureClient) greet(ctx context.Context, raw net.Conn) (*wire.Welcome, *bufio.Reader, error) {
	config := identity.ClientTLS(c.certificate, identity.ALPNControl, nil)
	config.ServerName = "coordinator"
	if c.sessions != nil {
		identity.Resuming(config, c.sessions)
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, nil, err
	}
	hello := &wire.Hello{
		VersionMin: 1, VersionMax: 1, Capabilities: []string{wire.CapabilityDeflate}, Name: name(c.index), Program: "load", DeviceLabel: "load",
		Status:     &wire.Status{Presence: wire.Presence_PRESENCE_ONLINE, Text: c.text},
		Candidates: []*wire.Candidate{{Kind: wire.Candidate_KIND_HOST, Address: wire.Address(netip.AddrPortFrom(source(c.index), uint16(10000+c.index%20)))}},
		Epoch:      c.epoch.Load(), Sequence: c.sequence.Load(),
	}
	if err := c.send(conn, &wire.ToCoordinator{Body: &wire.ToCoordinator_Hello{Hello: hello}}); err != nil {
		return nil, nil, err
	}
	c.conn.Store(conn)
	in := bufio.NewReaderSize(conn, 16<<10)
	m := new(wire.ToClient)
	if err := wire.Read(in, wire.MaxToClient, m); err != nil {
		return nil, nil, err
	}
	if r := m.GetRefused(); r != nil {
		return nil, nil, errors.New(r.Sentence)
	}
	if m.GetWelcome() == nil {
		return nil, nil, errors.New("its first frame is no Welcome")
	}
	return m.GetWelcome(), in, nil
}

func (c *secureClient) send(w io.Writer, m *wire.ToCoordinator) error {
	_, err := w.Write(wire.Append(nil, m))
	return err
}

// ledger is an epoch's. The one that is asked for last is the newest.
func (s *Secure) ledger(epoch uint64) *ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledgers[epoch] == nil {
		s.ledgers[epoch] = new(ledger)
		s.current = s.ledgers[epoch]
	}
	return s.ledgers[epoch]
}

// fail notes an error that is a server's fault.
func (s *Secure) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.failed == nil {
		s.failed = err
	}
}

// follow reads until the connection ends. It is an error if what came can't be
// right.
func (c *secureClient) follow(in *bufio.Reader) error {
	for {
		if c.slow.Load() {
			<-c.awake
		}
		body, err := c.frame(in)
		if errors.Is(err, ErrLoad) {
			return err
		}
		if err != nil {
			return nil //nolint:nilerr // connections end, and whether that was right is seen by who is online
		}
		if err := c.take(body); err != nil {
			return fmt.Errorf("%s: %w", name(c.index), err)
		}
	}
}

// frame reads the next frame, which is good until the one after it.
func (c *secureClient) frame(in *bufio.Reader) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(header[:]))
	if size > wire.MaxToClient {
		return nil, fmt.Errorf("%w: %s got a frame of %d bytes", ErrLoad, name(c.index), size)
	}
	c.body = slices.Grow(c.body[:0], size)[:size]
	_, err := io.ReadFull(in, c.body)
	return c.body, err
}

// take is told a frame of wire.ToClient.
func (c *secureClient) take(frame []byte) error {
	switch kind, body, err := parseFrame(frame); {
	case err != nil:
		return err
	case kind == frameSnapshot:
		return c.takeSnapshot(body, parseSnapshot)
	case kind == frameCompressed:
		return c.takeSnapshot(body, parseCompressed)
	case kind == frameDelta:
		return c.takeDelta(body)
	case kind == framePong:
		return fields(body, func(number protowire.Number, seconds uint64, _ []byte) error {
			if number == pongKeepalive {
				c.keepalive.Store(int64(seconds))
			}
			return nil
		})
	}
	return nil
}

// takeSnapshot is told a frame of a snapshot, and how to read it.
func (c *secureClient) takeSnapshot(body []byte, parse func([]byte) (*frame, error)) error {
	sum := maphash.Bytes(seed, body)
	f := c.led.parsed(sum)
	if f == nil {
		var err error
		if f, err = parse(body); f == nil || err != nil {
			return err
		}
		c.led.parse(sum, f)
	}
	c.frames = append(c.frames, f)
	if f.more {
		return nil
	}
	c.led.snapshot(f.sequence, c.frames)
	c.frames = nil
	c.arrive(f.sequence)
	return nil
}

// takeDelta is told a change, which must be the next one.
func (c *secureClient) takeDelta(body []byte) error {
	sequence, rest, err := parseSequence(body)
	if err != nil {
		return err
	}
	if at := c.sequence.Load(); sequence != at+1 {
		return fmt.Errorf("%w: change %d came after %d", ErrStale, sequence, at)
	}
	sum := maphash.Bytes(seed, body) | 1
	known, err := c.led.known(sequence, sum)
	if err != nil {
		return err
	}
	if !known {
		e, err := parseChange(rest)
		if err != nil {
			return err
		}
		if err := c.led.write(sequence, change{sum, e}); err != nil {
			return err
		}
	}
	c.arrive(sequence)
	return nil
}

func (c *secureClient) arrive(sequence uint64) {
	c.at.Store(time.Now().UnixNano())
	c.sequence.Store(sequence)
}

// Logout implements Crowd.
func (s *Secure) Logout(client int) error {
	c := s.clients[client]
	s.expected(c, false)
	// The end of the TLS stream is a logout.
	err := c.conn.Load().Close()
	c.Awake()
	<-c.ended
	return err
}

// Crash implements Crowd.
func (s *Secure) Crash(client int) error {
	c := s.clients[client]
	s.expected(c, false)
	if tcp, ok := c.raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	err := c.raw.Close()
	c.Awake()
	<-c.ended
	return err
}

// SetStatus implements Statuses.
func (s *Secure) SetStatus(client int, text string) error {
	c := s.clients[client]
	c.text = text
	s.expected(c, true)
	status := &wire.Status{Presence: wire.Presence_PRESENCE_ONLINE, Text: text}
	return c.send(c.conn.Load(), &wire.ToCoordinator{Body: &wire.ToCoordinator_SetStatus{SetStatus: &wire.SetStatus{Status: status}}})
}

// Keepalive has a client send what an idle one sends, each KeepaliveTime.
func (s *Secure) Keepalive(client int) error {
	c := s.clients[client]
	return c.send(c.conn.Load(), &wire.ToCoordinator{Body: &wire.ToCoordinator_Ping{Ping: new(wire.Ping)}})
}

// KeepaliveTime is how often the coordinator wants to hear of a client that is
// online.
func (s *Secure) KeepaliveTime(client int) time.Duration {
	return time.Duration(s.clients[client].keepalive.Load()) * time.Second
}

// Asleep has a client read nothing until Awake.
func (s *Secure) Asleep(client int) { s.clients[client].slow.Store(true) }

// Awake has a client read again.
func (s *Secure) Awake(client int) { s.clients[client].Awake() }

// Awake ends the client's sleep, if there is one.
func (c *secureClient) Awake() {
	if c.slow.CompareAndSwap(true, false) {
		c.awake <- struct{}{}
	}
}

// Online says whether a client is, and Alive whether its connection still
// stands.
func (s *Secure) Online(client int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, online := s.online[client]
	return online
}

// Alive says whether a client that has logged in still has its connection.
func (s *Secure) Alive(client int) bool {
	select {
	case <-s.clients[client].ended:
		return false
	default:
		return true
	}
}

// Settled implements Crowd.
func (s *Secure) Settled(ctx context.Context) (all []Known, err error) {
	err = await(ctx, func() error {
		all, err = s.settled()
		return err
	})
	return all, err
}

func (s *Secure) settled() ([]Known, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return nil, s.failed
	}
	if len(s.online) == 0 {
		return nil, nil
	}
	heard, is, err := s.current.now()
	if err != nil {
		return nil, err
	}
	if is.face != s.expect.face || is.count != s.expect.count {
		return nil, fmt.Errorf("%w: by change %d there are %d people, and %d are online, or with another status", ErrStale, heard, is.count, s.expect.count)
	}
	all := make([]Known, 0, len(s.online))
	for client := range s.online {
		c := s.clients[client]
		if !s.Alive(client) {
			return nil, fmt.Errorf("%w: %s has lost its connection", ErrStale, name(client))
		}
		if c.led != s.current || c.sequence.Load() != heard {
			return nil, fmt.Errorf("%w: %s knows the roster up to %d, which is at %d", ErrStale, name(client), c.sequence.Load(), heard)
		}
		all = append(all, Known{client, time.Unix(0, c.at.Load())})
	}
	return inTime(all), nil
}

// Close implements Crowd.
func (s *Secure) Close() {
	for i, c := range s.clients {
		if c.raw != nil {
			_ = s.Crash(i)
		}
	}
	s.running.Wait()
}
