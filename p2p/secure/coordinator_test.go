package secure

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	wirec "earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var coordinatorAt = netip.MustParseAddrPort("10.0.0.1:13277")

// coordinator is a small one of the secure protocol: it knows one device of
// each name, and carries introductions. What it says is written one frame after
// the other, with the mutex held.
type coordinator struct {
	t    *testing.T
	key  identity.Key
	done sync.WaitGroup

	mu       sync.Mutex
	stop     context.CancelFunc
	epoch    uint64
	sequence uint64
	users    map[string]*guest
	// deaf makes it lose introductions.
	deaf bool
	// stun are the ports that the Welcome tells of.
	stun []uint32
	// answers counts introductions that answer one, by name.
	answers map[string]int
	// asked are all introductions, in order.
	asked []asked
}

// asked is a device that wants to be introduced.
type asked struct {
	by string
	at time.Time
	*wire.Introduce
}

type guest struct {
	conn *tls.Conn
	user *wire.User
	key  identity.PublicKey
}

func startCoordinator(t *testing.T, sim *hostnet.Sim) *coordinator {
	t.Helper()
	c := &coordinator{t: t, key: identity.NewKey(), answers: make(map[string]int)}
	c.start(sim)
	t.Cleanup(c.end)
	return c
}

// start serves, again after an end, as a new epoch.
func (c *coordinator) start(sim *hostnet.Sim) {
	ctx, stop := context.WithCancel(context.Background())
	c.mu.Lock()
	c.stop, c.sequence, c.users = stop, 0, make(map[string]*guest)
	c.epoch++
	c.mu.Unlock()
	listener, err := sim.Host(coordinatorAt.Addr()).Listen(ctx, coordinatorAt)
	if err != nil {
		c.t.Fatal(err)
	}
	c.done.Go(func() {
		defer context.AfterFunc(ctx, func() { listener.Close() })()
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				c.done.Go(func() {
					defer context.AfterFunc(ctx, func() { conn.Close() })()
					c.serve(tls.Server(conn, identity.ServerTLS(c.key.Certificate(), identity.ALPNControl, nil)))
				})
			}
		}
	})
}

func (c *coordinator) end() {
	c.mu.Lock()
	stop := c.stop
	c.mu.Unlock()
	stop()
	c.done.Wait()
}

func (c *coordinator) serve(conn *tls.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	var frame wire.ToCoordinator
	if wire.Read(in, wire.MaxToCoordinator, &frame) != nil || frame.GetHello() == nil {
		return
	}
	key, err := identity.PeerKey(conn.ConnectionState())
	if err != nil {
		c.t.Error(err)
		return
	}
	g := c.enter(conn, key, frame.GetHello())
	defer c.leave(g)
	for {
		var frame wire.ToCoordinator
		if wire.Read(in, wire.MaxToCoordinator, &frame) != nil {
			return
		}
		c.mu.Lock()
		switch body := frame.GetBody().(type) {
		case *wire.ToCoordinator_Ping:
			g.say(&wire.ToClient{Body: &wire.ToClient_Pong{Pong: &wire.Pong{}}})
		case *wire.ToCoordinator_SetStatus:
			g.user.Status = body.SetStatus.GetStatus()
			c.change(&wire.Delta{Change: &wire.Delta_Put{Put: g.user}})
		case *wire.ToCoordinator_Introduce:
			c.asked = append(c.asked, asked{g.user.GetName(), time.Now(), body.Introduce})
			if body.Introduce.GetAnswer() {
				c.answers[g.user.GetName()]++
			}
			for _, other := range c.users {
				if !c.deaf && string(other.key[:]) == string(body.Introduce.GetDevice()) {
					other.say(&wire.ToClient{Body: &wire.ToClient_Introduction{Introduction: &wire.Introduction{
						User: g.user, Device: g.key[:], Candidates: body.Introduce.GetCandidates(),
						ProbeKey: body.Introduce.GetProbeKey(), Nat: body.Introduce.GetNat(), Answer: body.Introduce.GetAnswer(),
					}}})
				}
			}
		}
		c.mu.Unlock()
	}
}

func (c *coordinator) enter(conn *tls.Conn, key identity.PublicKey, h *wire.Hello) *guest {
	c.mu.Lock()
	defer c.mu.Unlock()
	device := &wire.Device{Key: key[:], Label: h.GetDeviceLabel(), Online: true, Candidates: h.GetCandidates()}
	g := &guest{conn: conn, key: key, user: &wire.User{
		Id: c.sequence + 1, Name: h.GetName(), Status: h.GetStatus(), Devices: []*wire.Device{device}, Classic: h.GetClassic(),
	}}
	c.change(&wire.Delta{Change: &wire.Delta_Put{Put: g.user}})
	c.users[wirec.NameKey(h.GetName())] = g
	g.say(&wire.ToClient{Body: &wire.ToClient_Welcome{Welcome: &wire.Welcome{
		Version: 1, Epoch: c.epoch, KeepaliveSeconds: 25, StunPorts: c.stun, StunToken: "00112233445566778899aabbccddeeff", Account: &wire.Account{Name: h.GetName(), Devices: g.user.Devices},
	}}})
	snapshot := &wire.Snapshot{Epoch: c.epoch, Sequence: c.sequence}
	for _, other := range c.users {
		snapshot.Users = append(snapshot.Users, other.user)
	}
	g.say(&wire.ToClient{Body: &wire.ToClient_Snapshot{Snapshot: snapshot}})
	return g
}

func (c *coordinator) leave(g *guest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := wirec.NameKey(g.user.GetName())
	if c.users[name] == g {
		delete(c.users, name)
		c.change(&wire.Delta{Change: &wire.Delta_Gone{Gone: g.user.GetId()}})
	}
}

// change tells everyone. The mutex is held.
func (c *coordinator) change(d *wire.Delta) {
	c.sequence++
	d.Sequence = c.sequence
	for _, g := range c.users {
		g.say(&wire.ToClient{Body: &wire.ToClient_Delta{Delta: d}})
	}
}

// say writes a frame. A client that has gone is found by its reader.
func (g *guest) say(frame *wire.ToClient) { _, _ = g.conn.Write(wire.Append(nil, frame)) }

// tell says something to everyone.
func (c *coordinator) tell(frame *wire.ToClient) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.users {
		g.say(frame)
	}
}
