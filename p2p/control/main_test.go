package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"earshot/p2p"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	theirs = netip.MustParseAddr("10.0.0.1")
	ours   = netip.MustParseAddr("10.0.0.2")
	port   = uint16(identity.DefaultPort)

	theirKey, ourKey = identity.NewKey(), identity.NewKey()
)

// bed is a client at ours and a coordinator at theirs, which the test plays
// itself.
type bed struct {
	*testing.T
	sim      *hostnet.Sim
	client   *Client
	listener net.Listener
	events   chan Event // what the client told
	cancel   context.CancelFunc
	ended    chan error
}

// inBed runs a test in fake time, before the client does anything.
func inBed(t *testing.T, test func(*bed), configure ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bed{T: t, sim: hostnet.NewSim(), events: make(chan Event, 10_000), ended: make(chan error, 1)}
		b.sim.Latency(5 * time.Millisecond)
		b.listen()
		cfg := Config{
			Net: b.sim.Host(ours), Host: "chat.example", Port: port, Key: ourKey,
			Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
			Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
				if host != "chat.example" {
					t.Errorf("%q is looked up", host)
				}
				return []netip.Addr{theirs}, nil
			},
			Verify: func(state tls.ConnectionState) error {
				if got := identity.Fingerprint(state.PeerCertificates[0]); got != theirKey.Public().ID() {
					return fmt.Errorf("%w: a stranger", p2p.ErrIdentity)
				}
				return nil
			},
			Hello: func(local netip.Addr) *wire.Hello {
				return &wire.Hello{VersionMin: 1, VersionMax: 1, Name: "Ann", DeviceLabel: local.String()}
			},
		}
		for _, c := range configure {
			c(&cfg)
		}
		var err error
		if b.client, err = New(cfg); err != nil {
			t.Fatal(err)
		}
		defer b.end()
		test(b)
	})
}

// start runs the client.
func (b *bed) start() {
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() { b.ended <- b.client.Run(ctx, func(e Event) { b.events <- e }) }()
}

// end ends the client and then the coordinator.
func (b *bed) end() {
	if b.cancel != nil {
		b.cancel()
		if err := <-b.ended; err != nil {
			b.Errorf("Run: %v", err)
		}
	}
	b.listener.Close()
}

func (b *bed) listen() {
	b.Helper()
	l, err := b.sim.Host(theirs).Listen(b.Context(), netip.AddrPortFrom(theirs, port))
	if err != nil {
		b.Fatal(err)
	}
	b.listener = l
}

// next is the client's next event, which must be an E and come in time.
func next[E Event](b *bed, within time.Duration) E {
	b.Helper()
	var want E
	select {
	case e := <-b.events:
		got, ok := e.(E)
		if !ok {
			b.Fatalf("the client tells %T %+v, not %T", e, e, want)
		}
		return got
	case <-time.After(within):
		b.Fatalf("the client tells nothing within %v, and should tell %T", within, want)
	}
	return want
}

// quiet says that the client tells nothing for some time.
func (b *bed) quiet(d time.Duration) {
	b.Helper()
	select {
	case e := <-b.events:
		b.Fatalf("the client tells %T %+v", e, e)
	case <-time.After(d):
	}
}

// peer is the coordinator's side of one connection.
type peer struct {
	*bed
	conn  *tls.Conn
	hello *wire.Hello
}

// theirTLS is the coordinator's, which gives tickets.
func theirTLS() *tls.Config {
	config := identity.ServerTLS(theirKey.Certificate(), identity.ALPNControl, nil)
	identity.Resumable(config, [][32]byte{theirKey.Secret("tickets")})
	return config
}

// accept takes the client's next connection, and its hello.
func (b *bed) accept() *peer {
	b.Helper()
	_ = b.listener.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(2 * time.Minute))
	raw, err := b.listener.Accept()
	if err != nil {
		b.Fatalf("the client does not come: %v", err)
	}
	p := &peer{bed: b, conn: tls.Server(raw, theirTLS())}
	b.Cleanup(func() { raw.Close() })
	p.hello = p.read(10 * time.Second).GetHello()
	if p.hello == nil {
		b.Fatal("the client's first frame is no hello")
	}
	return p
}

// read reads one frame.
func (p *peer) read(within time.Duration) *wire.ToCoordinator {
	p.Helper()
	frame := new(wire.ToCoordinator)
	_ = p.conn.SetReadDeadline(time.Now().Add(within))
	if err := wire.Read(p.conn, wire.MaxToCoordinator, frame); err != nil {
		p.Fatalf("the client says nothing that can be read: %v", err)
	}
	return frame
}

// closed says that the client has closed the connection.
func (p *peer) closed(within time.Duration) {
	p.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(within))
	for {
		err := wire.Read(p.conn, wire.MaxToCoordinator, new(wire.ToCoordinator))
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			p.Fatal("the client keeps the connection open")
		}
		if err != nil {
			return
		}
	}
}

func (p *peer) write(b []byte) {
	p.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.Fatal(err)
	}
}

// say writes frames in one go.
func (p *peer) say(frames ...proto.Message) {
	p.Helper()
	var b []byte
	for _, f := range frames {
		b = wire.Append(b, f)
	}
	p.write(b)
}

// pong answers pings until the connection ends.
func (p *peer) pong() (pings *atomic.Int64, ended chan struct{}) { return p.pongAs(&wire.Pong{}) }

// pongAs answers them in one way.
func (p *peer) pongAs(answer *wire.Pong) (pings *atomic.Int64, ended chan struct{}) {
	pings, ended = new(atomic.Int64), make(chan struct{})
	_ = p.conn.SetReadDeadline(time.Time{})
	go func() {
		defer close(ended)
		for frame := new(wire.ToCoordinator); wire.Read(p.conn, wire.MaxToCoordinator, frame) == nil; {
			if frame.GetPing() != nil {
				pings.Add(1)
				if _, err := p.conn.Write(wire.Append(nil, &wire.ToClient{Body: &wire.ToClient_Pong{Pong: answer}})); err != nil {
					return
				}
			}
		}
	}()
	return pings, ended
}

func welcome(epoch uint64, resumed bool) *wire.ToClient {
	return &wire.ToClient{Body: &wire.ToClient_Welcome{Welcome: &wire.Welcome{
		Version: 1, Account: &wire.Account{Name: "Ann"}, Epoch: epoch, Resumed: resumed, KeepaliveSeconds: 25,
	}}}
}

func snapshot(epoch, sequence uint64, more bool, users ...*wire.User) *wire.ToClient {
	return &wire.ToClient{Body: &wire.ToClient_Snapshot{Snapshot: &wire.Snapshot{
		Epoch: epoch, Sequence: sequence, Users: users, More: more,
	}}}
}

func put(sequence uint64, u *wire.User) *wire.ToClient {
	return &wire.ToClient{Body: &wire.ToClient_Delta{Delta: &wire.Delta{Sequence: sequence, Change: &wire.Delta_Put{Put: u}}}}
}

func gone(sequence, id uint64) *wire.ToClient {
	return &wire.ToClient{Body: &wire.ToClient_Delta{Delta: &wire.Delta{Sequence: sequence, Change: &wire.Delta_Gone{Gone: id}}}}
}

func refused(code wire.Refused_Code, sentence string, retry uint32) *wire.ToClient {
	return &wire.ToClient{Body: &wire.ToClient_Refused{Refused: &wire.Refused{Code: code, Sentence: sentence, RetrySeconds: retry}}}
}

func user(id uint64, name string) *wire.User { return &wire.User{Id: id, Name: name} }

// login has the client log in, to a roster of these.
func (b *bed) login(epoch, sequence uint64, users ...*wire.User) *peer {
	b.Helper()
	next[Connecting](b, time.Minute)
	p := b.accept()
	p.say(welcome(epoch, false), snapshot(epoch, sequence, false, users...))
	b.names(next[Connected](b, time.Second).Users, users...)
	return p
}

func (b *bed) names(got []*wire.User, want ...*wire.User) {
	b.Helper()
	spell := func(users []*wire.User) string {
		var s strings.Builder
		for _, u := range users {
			fmt.Fprintf(&s, "%d %s, ", u.GetId(), u.GetName())
		}
		return s.String()
	}
	if spell(got) != spell(want) {
		b.Errorf("the roster is %q, not %q", spell(got), spell(want))
	}
}

// lost wants a Disconnected of the family of transport errors.
func (b *bed) lost(within time.Duration) Disconnected {
	b.Helper()
	d := next[Disconnected](b, within)
	if !errors.Is(d.Cause, p2p.ErrTransport) || !d.Retry.After(time.Now().Add(-time.Second)) {
		b.Errorf("the client tells %+v", d)
	}
	return d
}

func same(b *bed, got, want any) {
	b.Helper()
	if !reflect.DeepEqual(got, want) {
		b.Errorf("got %v, want %v", got, want)
	}
}
