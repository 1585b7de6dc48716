package relay

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"earshot/protocol/identity"
	wire "earshot/protocol/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a relay and some devices in fake time. Their connections hold nothing:
// what isn't read stays with the relay.
type bed struct {
	*testing.T
	server  *Server
	ctx     context.Context
	running sync.WaitGroup
}

func inBed(t *testing.T, limits Limits, test func(*bed)) {
	synctest.Test(t, func(t *testing.T) {
		server, err := New(Config{Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		b := &bed{T: t, server: server, ctx: ctx}
		defer func() {
			cancel()
			b.running.Wait()
			synctest.Wait()
			if len(server.conns) != 0 {
				t.Errorf("%d connections are left", len(server.conns))
			}
		}()
		test(b)
	})
}

// settle lets time pass.
func settle(d time.Duration) {
	time.Sleep(d) // fake time
	synctest.Wait()
}

// public makes a device.
func public() identity.PublicKey { return identity.NewKey().Public() }

// client is one connection of a device. It takes whatever comes, once it
// listens.
type client struct {
	b     *bed
	key   identity.PublicKey
	conn  net.Conn
	ended chan error // of Serve

	mu     sync.Mutex
	frames []wire.Frame
	in     int // bytes that have come
}

// deaf is a connection that takes nothing until listen.
func (b *bed) deaf(key identity.PublicKey) *client {
	near, far := net.Pipe()
	c := &client{b: b, key: key, conn: far, ended: make(chan error, 1)}
	b.running.Go(func() {
		err := b.server.Serve(b.ctx, near, key)
		near.Close()
		far.Close()
		c.ended <- err
	})
	synctest.Wait() // so that of two connections the first is the first
	return c
}

func (b *bed) connect(key identity.PublicKey) *client {
	c := b.deaf(key)
	c.listen()
	return c
}

func (c *client) listen() {
	c.b.running.Go(func() {
		in := bufio.NewReaderSize(c, wire.MaxFrame)
		for {
			var f wire.Frame
			if err := wire.Read(in, &f); err != nil {
				return
			}
			f.Packet = slices.Clone(f.Packet)
			c.mu.Lock()
			c.frames = append(c.frames, f)
			c.mu.Unlock()
		}
	})
}

// Read implements io.Reader, and counts.
func (c *client) Read(b []byte) (int, error) {
	n, err := c.conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in += n
	return n, err
}

// say sends frames, in one piece, and waits until nothing moves any more. The
// connection may end meanwhile.
func (c *client) say(frames ...[]byte) {
	c.b.Helper()
	_, _ = c.conn.Write(slices.Concat(frames...))
	synctest.Wait()
}

func (c *client) open(other *client)  { c.say(wire.AppendOpen(nil, other.key)) }
func (c *client) close(other *client) { c.say(wire.AppendClose(nil, other.key)) }

func (c *client) packet(other *client, text string) {
	c.say(wire.AppendPacket(nil, &other.key, []byte(text)))
}

// heard returns what has come since it was asked last, in short.
func (c *client) heard(people ...*client) string {
	var all []string
	for _, f := range c.take() {
		from := slices.IndexFunc(people, func(p *client) bool { return p.key == f.Device })
		switch f.Type {
		case wire.Packet:
			all = append(all, fmt.Sprintf("%d:%s", from, f.Packet))
		case wire.State:
			all = append(all, fmt.Sprintf("%d=%d", from, f.Status))
		case wire.Pong:
			all = append(all, fmt.Sprintf("pong%x", f.Data))
		default:
			all = append(all, fmt.Sprint("type", f.Type))
		}
	}
	return strings.Join(all, " ")
}

func (c *client) take() []wire.Frame {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	frames := c.frames
	c.frames = nil
	return frames
}

func (c *client) bytes() int {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in
}

// packets are how many have come of a device, and how many bytes of them.
func (c *client) packets(from *client) (n, size int) {
	for _, f := range c.take() {
		if f.Type == wire.Packet && f.Device == from.key {
			n++
			size += len(f.Packet)
		}
	}
	return n, size
}

// lives says whether the connection does.
func (c *client) lives() bool {
	synctest.Wait()
	return len(c.ended) == 0
}

// pair is two devices that have opened each other.
func (b *bed) pair() (ann, bo *client) {
	b.Helper()
	ann, bo = b.connect(public()), b.connect(public())
	b.join(ann, bo)
	return ann, bo
}

func (b *bed) join(one, two *client) {
	b.Helper()
	one.open(two)
	two.open(one)
	for _, way := range [][2]*client{{one, two}, {two, one}} {
		if got := way[0].take(); len(got) == 0 || got[len(got)-1].Status != wire.Ready || got[len(got)-1].Device != way[1].key {
			b.Fatalf("they are not ready: %+v", got)
		}
	}
}
