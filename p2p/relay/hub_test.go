package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	wire "earshot/protocol/relay"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var hubAddr = netip.MustParseAddrPort("10.0.0.1:13277")

// bed is a network with a relay that does what the protocol says and no more,
// and some devices. What the coordinator's own does is tested where both are.
type bed struct {
	*testing.T
	sim *hostnet.Sim
	ctx context.Context
	key identity.Key

	mu      sync.Mutex
	running sync.WaitGroup
	devices map[identity.PublicKey]*hubConn
	frames  []wire.Frame // that came, packets left out
	maxOpen int
	deaf    bool // nothing is read
	conns   int  // that there were
}

type hubConn struct {
	conn net.Conn
	mu   sync.Mutex // of writing
	open map[identity.PublicKey]bool
	mute bool // nothing is answered or told; guarded by bed.mu
}

// write tells the device something. bed.mu is held.
func (h *hubConn) write(b []byte) {
	if h.mute {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, _ = h.conn.Write(b)
}

// inBed runs a test in fake time.
func inBed(t *testing.T, test func(*bed)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		b := &bed{T: t, sim: hostnet.NewSim(), ctx: ctx, key: identity.NewKey(), devices: make(map[identity.PublicKey]*hubConn), maxOpen: 4}
		l, err := b.sim.Host(hubAddr.Addr()).Listen(ctx, hubAddr)
		if err != nil {
			t.Fatal(err)
		}
		b.running.Go(func() { b.accept(l) })
		defer func() {
			cancel()
			l.Close()
			b.mu.Lock()
			for _, h := range b.devices {
				h.conn.Close()
			}
			b.mu.Unlock()
			b.running.Wait()
		}()
		test(b)
	})
}

func (b *bed) accept(l net.Listener) {
	config := identity.ServerTLS(b.key.Certificate(), identity.ALPNRelay, nil)
	for {
		raw, err := l.Accept()
		if err != nil {
			return
		}
		b.running.Go(func() {
			defer raw.Close()
			conn := tls.Server(raw, config)
			if conn.Handshake() != nil {
				return
			}
			key, err := identity.PeerKey(conn.ConnectionState())
			if err != nil {
				b.Error(err)
				return
			}
			b.serve(&hubConn{conn: conn, open: make(map[identity.PublicKey]bool)}, key)
		})
	}
}

// serve is a relay as small as one can be.
func (b *bed) serve(h *hubConn, key identity.PublicKey) {
	b.mu.Lock()
	b.devices[key] = h
	b.conns++
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.devices[key] == h {
			delete(b.devices, key)
			for device := range h.open {
				b.tell(key, device)
			}
		}
	}()
	in := bufio.NewReader(h.conn)
	for {
		var f wire.Frame
		if wire.Read(in, &f) != nil {
			return
		}
		b.mu.Lock()
		if b.deaf {
			b.mu.Unlock()
			<-b.ctx.Done()
			return
		}
		if !h.mute {
			b.take(h, key, f)
		}
		b.mu.Unlock()
	}
}

// take is a frame. b.mu is held.
func (b *bed) take(h *hubConn, key identity.PublicKey, f wire.Frame) {
	switch f.Type {
	case wire.Packet:
		if other := b.devices[f.Device]; other != nil && h.open[f.Device] && other.open[key] {
			other.write(wire.AppendPacket(nil, &key, f.Packet))
		}
		return
	case wire.Open:
		if !h.open[f.Device] && len(h.open) >= b.maxOpen {
			h.write(wire.AppendState(nil, f.Device, wire.Full))
			break
		}
		h.open[f.Device] = true
		b.tell(key, f.Device)
	case wire.Close:
		delete(h.open, f.Device)
		b.tell(key, f.Device)
	case wire.Ping:
		h.write(wire.AppendPong(nil, f.Data))
	}
	b.frames = append(b.frames, f)
}

// tell has two devices know how they stand. b.mu is held.
func (b *bed) tell(one, two identity.PublicKey) {
	h1, h2 := b.devices[one], b.devices[two]
	status := wire.Gone
	if h1 != nil && h2 != nil && h1.open[two] && h2.open[one] {
		status = wire.Ready
	}
	if h1 != nil && h1.open[two] {
		h1.write(wire.AppendState(nil, two, status))
	}
	if h2 != nil && h2.open[one] {
		h2.write(wire.AppendState(nil, one, status))
	}
}

// mute has the connections that there are die without a word.
func (b *bed) mute() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.devices {
		h.mute = true
	}
}

// count is how many frames of a type have come.
func (b *bed) count(t wire.Type) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.frames {
		if f.Type == t {
			n++
		}
	}
	return n
}

// device is a Client on a host of its own.
type device struct {
	*Client
	b    *bed
	key  identity.Key
	addr netip.Addr
	stop func() // ends Run

	mu     sync.Mutex
	states []state
	dials  []time.Time
}

type state struct {
	device identity.PublicKey
	ready  bool
	at     time.Time
}

func (b *bed) device(addr string) *device {
	d := &device{b: b, key: identity.NewKey(), addr: netip.MustParseAddr(addr)}
	d.Client = New(Config{Dial: d.dial, OnState: d.onState, Log: slog.New(slog.NewTextHandler(b.Output(), nil))})
	ctx, cancel := context.WithCancel(b.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := d.Run(ctx); err != nil {
			b.Error(err)
		}
	}()
	d.stop = func() { cancel(); <-ended }
	b.Cleanup(d.stop)
	return d
}

func (d *device) public() identity.PublicKey { return d.key.Public() }

func (d *device) dial(ctx context.Context) (net.Conn, error) {
	d.mu.Lock()
	d.dials = append(d.dials, time.Now())
	d.mu.Unlock()
	raw, err := d.b.sim.Host(d.addr).Dial(ctx, hubAddr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, identity.ClientTLS(d.key.Certificate(), identity.ALPNRelay, identity.Expect(d.b.key.Public())))
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

func (d *device) onState(other identity.PublicKey, ready bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.states = append(d.states, state{other, ready, time.Now()})
}

// ready is what was told last about a device, and how often something was.
func (d *device) ready(other *device) (ready bool, told int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.states {
		if s.device == other.public() {
			ready = s.ready
			told++
		}
	}
	return ready, told
}

// attempts are when it has dialled.
func (d *device) attempts() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.dials)
}

// pair is two devices that have opened each other.
func (b *bed) pair() (ann, bo *device) {
	b.Helper()
	ann, bo = b.device("10.0.0.2"), b.device("10.0.0.3")
	ann.Open(bo.public())
	bo.Open(ann.public())
	settle(time.Second)
	b.talk(ann, bo)
	return ann, bo
}

// talk has packets go both ways.
func (b *bed) talk(one, two *device) {
	b.Helper()
	for _, way := range [][2]*device{{one, two}, {two, one}} {
		if ready, _ := way[0].ready(way[1]); !ready {
			b.Fatalf("%v was not told that %v is ready", way[0].addr, way[1].addr)
		}
		way[0].write(way[1], "hello")
		if got := way[1].read(way[0]); got != "hello" {
			b.Fatalf("%v got %q", way[1].addr, got)
		}
	}
}

func (d *device) write(to *device, text string) {
	d.b.Helper()
	if n, err := d.PacketConn().WriteTo([]byte(text), d.Addr(to.public())); err != nil || n != len(text) {
		d.b.Fatalf("%d, %v", n, err)
	}
}

// read returns the next packet, which is from another device; "" is none
// within a second.
func (d *device) read(from *device) string {
	d.b.Helper()
	c := d.PacketConn()
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		d.b.Fatal(err)
	}
	buf := make([]byte, 2000)
	n, addr, err := c.ReadFrom(buf)
	if err != nil {
		return ""
	}
	if addr != d.Addr(from.public()) || addr.String() != d.Addr(from.public()).String() {
		d.b.Fatalf("a packet is from %v", addr)
	}
	return string(buf[:n])
}

// settle lets time pass.
func settle(d time.Duration) {
	time.Sleep(d) // fake time
	synctest.Wait()
}
