package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/engine"
	"earshot/svc/roster"
)

func TestMain(m *testing.M) {
	if isCrowd() {
		runCrowd()
		return
	}
	goleak.VerifyTestMain(m)
}

// memory is Accounts without a disk, for fake time.
type memory struct {
	mu       sync.Mutex
	accounts map[string]engine.Account
	owners   map[identity.PublicKey]string // name keys
	server   *Server
	fails    error // of every Claim
}

func (a *memory) Lookup(name string) (engine.Account, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, ok := a.accounts[classic.NameKey(name)]
	return account, ok
}

func (a *memory) OwnerOf(device identity.PublicKey) (engine.Account, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, ok := a.accounts[a.owners[device]]
	return account, ok
}

func (a *memory) Claim(_ context.Context, name string, d engine.Device, policy engine.Policy, _ string) (engine.Account, error) {
	if a.fails != nil {
		return engine.Account{}, a.fails
	}
	if owner, owned := a.OwnerOf(d.Key); owned && classic.NameKey(owner.Name) != classic.NameKey(name) {
		return engine.Account{}, engine.ErrOtherAccount
	}
	account, exists := a.Lookup(name)
	switch {
	case !exists:
		account = engine.Account{Name: name, Pending: policy == engine.PolicyApprove, Devices: []engine.Device{d}}
		a.set(account)
		return account, nil
	case account.Pending:
		return account, engine.ErrPending
	case slices.Contains(account.Removed, d.Key):
		return engine.Account{}, engine.ErrRemoved
	}
	return engine.Account{}, engine.ErrTaken
}

func (a *memory) AddDevice(_ context.Context, name string, d engine.Device) (engine.Account, error) {
	account, _ := a.Lookup(name)
	account.Devices = append(slices.Clone(account.Devices), d)
	a.set(account)
	return account, nil
}

func (a *memory) RemoveDevice(_ context.Context, name string, key identity.PublicKey) error {
	account, _ := a.Lookup(name)
	account.Devices = slices.DeleteFunc(slices.Clone(account.Devices), func(d engine.Device) bool { return d.Key == key })
	account.Removed = append(slices.Clone(account.Removed), key)
	a.set(account)
	return nil
}

func (a *memory) set(after engine.Account) {
	a.mu.Lock()
	before := a.accounts[classic.NameKey(after.Name)]
	a.accounts[classic.NameKey(after.Name)] = after
	for _, d := range before.Devices {
		delete(a.owners, d.Key)
	}
	for _, d := range after.Devices {
		a.owners[d.Key] = classic.NameKey(after.Name)
	}
	a.mu.Unlock()
	a.server.AccountChanged(before, after)
}

// bed is a running server.
type bed struct {
	testing.TB
	server   *Server
	roster   *roster.Roster
	accounts *memory
	key      identity.Key
	addr     netip.AddrPort
	stop     func()
}

// serve runs a server on a network until the test ends.
func serve(t testing.TB, n hostnet.Net, at netip.AddrPort, configure ...func(*Config)) *bed {
	t.Helper()
	l, err := n.Listen(context.Background(), at)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{
		TB: t, roster: roster.New(), key: identity.NewKey(), addr: hostnet.AddrPort(l.Addr()),
		accounts: &memory{accounts: make(map[string]engine.Account), owners: make(map[identity.PublicKey]string)},
	}
	certificate := b.key.Certificate()
	cfg := Config{
		Listener: l, Roster: b.roster, Accounts: b.accounts, Plain: "plain words\r\n",
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
		Log:         slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range configure {
		c(&cfg)
	}
	if b.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	b.accounts.server = b.server
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.server.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		began := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the end took %v", took)
		}
		s := b.server
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.people)+len(s.devices)+len(s.sources)+len(s.strange)+len(s.joins)+s.conns != 0 {
			t.Errorf("left behind: %d people, %d devices, %d addresses, %d strangers, %d joins, %d connections",
				len(s.people), len(s.devices), len(s.sources), len(s.strange), len(s.joins), s.conns)
		}
	})
	t.Cleanup(b.stop)
	return b
}

var (
	serverAddr = netip.MustParseAddrPort("10.0.0.1:13277")
	loopback   = netip.MustParseAddrPort("127.0.0.1:0")
)

// world is a bed in a simulated network, in fake time.
type world struct {
	*bed
	t   *testing.T
	sim *hostnet.Sim
}

// inWorld runs a test in fake time, and fails it if anything is left running.
func inWorld(t *testing.T, test func(*world), configure ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		w := &world{serve(t, sim.Host(serverAddr.Addr()), serverAddr, configure...), t, sim}
		test(w)
		w.stop()
		if n := w.roster.Len(); n != 0 {
			t.Errorf("%d users are left on the roster", n)
		}
	})
}

func address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, byte(1 + n/250), byte(1 + n%250)})
}

// client is a secure client that believes everything it is told.
type client struct {
	tb   testing.TB
	name string
	key  identity.Key
	conn *tls.Conn
	end  chan struct{}

	mu sync.Mutex
	// gate, if set, is where the client waits behind the next frame.
	gate     chan struct{}
	changed  chan struct{}
	view     map[uint64]*wire.User
	epoch    uint64
	sequence uint64
	growing  bool // a snapshot has more frames
	welcome  *wire.Welcome
	refused  *wire.Refused
	account  *wire.Account
	heard    []*wire.ToClient // everything but the roster
	wholes   int
	deltas   int
	packed   int // frames that came compressed
	err      error
}

// newClient connects.
func newClient(tb testing.TB, n hostnet.Net, to netip.AddrPort, name string, key identity.Key) *client {
	tb.Helper()
	raw, err := n.Dial(context.Background(), to)
	if err != nil {
		tb.Fatal(err)
	}
	c := &client{
		tb: tb, name: name, key: key, end: make(chan struct{}), changed: make(chan struct{}), view: make(map[uint64]*wire.User),
		conn: tls.Client(raw, identity.ClientTLS(key.Certificate(), identity.ALPNControl, nil)),
	}
	tb.Cleanup(c.close)
	go c.read()
	return c
}

func (c *client) close() {
	c.conn.NetConn().Close()
	<-c.end
}

// hello is what the client says first.
func (c *client) hello() *wire.Hello {
	return &wire.Hello{VersionMin: 1, VersionMax: 3, Name: c.name, Program: "test", DeviceLabel: "test device"}
}

func (c *client) send(m *wire.ToCoordinator) {
	c.tb.Helper()
	if _, err := c.conn.Write(wire.Append(nil, m)); err != nil {
		c.tb.Errorf("%s can't write: %v", c.name, err)
	}
}

func (c *client) sendHello(change ...func(*wire.Hello)) {
	c.tb.Helper()
	h := c.hello()
	for _, f := range change {
		f(h)
	}
	c.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_Hello{Hello: h}})
}

func (c *client) read() {
	defer close(c.end)
	for {
		m := new(wire.ToClient)
		err := wire.Read(c.conn, wire.MaxToClient, m)
		c.mu.Lock()
		if err != nil {
			c.err = err
		} else {
			c.take(m)
		}
		close(c.changed)
		c.changed = make(chan struct{})
		gate := c.gate
		c.mu.Unlock()
		if err != nil {
			return
		}
		if gate != nil {
			<-gate
		}
	}
}

// take does what a frame says. mu is held.
func (c *client) take(m *wire.ToClient) {
	if m.GetDeflate() != nil {
		c.packed++
		if err := wire.Decompress(m); err != nil {
			c.tb.Errorf("%s: %v", c.name, err)
		}
	}
	switch body := m.Body.(type) {
	case *wire.ToClient_Snapshot:
		s := body.Snapshot
		if !c.growing {
			c.view = make(map[uint64]*wire.User)
			c.wholes++
		}
		c.growing, c.epoch, c.sequence = s.More, s.Epoch, s.Sequence
		for _, u := range s.Users {
			c.view[u.Id] = u
		}
	case *wire.ToClient_Delta:
		d := body.Delta
		if d.Sequence != c.sequence+1 || c.growing {
			c.tb.Errorf("%s: change %d follows %d", c.name, d.Sequence, c.sequence)
		}
		c.sequence = d.Sequence
		c.deltas++
		if put := d.GetPut(); put != nil {
			c.view[put.Id] = put
		} else if _, known := c.view[d.GetGone()]; known {
			delete(c.view, d.GetGone())
		} else {
			c.tb.Errorf("%s: nobody is %d", c.name, d.GetGone())
		}
	case *wire.ToClient_Welcome:
		c.welcome, c.account = body.Welcome, body.Welcome.Account
	case *wire.ToClient_Refused:
		c.refused = body.Refused
	case *wire.ToClient_Account:
		c.account = body.Account
	default:
		c.heard = append(c.heard, m)
	}
}

// until waits for a condition, which may read the client, and fails the test if
// it doesn't come true.
func (c *client) until(what string, f func() bool) {
	c.tb.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for {
		c.mu.Lock()
		ok, changed, refused, err := f(), c.changed, c.refused, c.err
		view := slices.Sorted(names(c.view))
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
			continue
		case <-deadline.C:
		case <-c.end:
			if c.mu.Lock(); f() {
				c.mu.Unlock()
				return
			}
			c.mu.Unlock()
		}
		c.tb.Fatalf("%s waits in vain for %s; refused: %v, error: %v, sees %v", c.name, what, refused, err, view)
	}
}

func names(view map[uint64]*wire.User) func(func(string) bool) {
	return func(yield func(string) bool) {
		for u := range maps.Values(view) {
			if !yield(u.Name) {
				return
			}
		}
	}
}

func (c *client) sees(want ...string) {
	c.tb.Helper()
	slices.Sort(want)
	c.until(fmt.Sprint("seeing ", want), func() bool { return !c.growing && slices.Equal(slices.Sorted(names(c.view)), want) })
}

// user returns somebody's entry once it is as it should be.
func (c *client) user(name, what string, f func(*wire.User) bool) (user *wire.User) {
	c.tb.Helper()
	c.until(name+" "+what, func() bool {
		for u := range maps.Values(c.view) {
			if u.Name == name && f(u) {
				user = u
				return true
			}
		}
		return false
	})
	return user
}

// isRefused waits for a refusal, and for the end of the connection behind it.
func (c *client) isRefused(code wire.Refused_Code) *wire.Refused {
	c.tb.Helper()
	c.until("a refusal", func() bool { return c.refused != nil && c.err != nil })
	if c.refused.Code != code {
		c.tb.Errorf("%s was refused with %v, not %v", c.name, c.refused, code)
	}
	if s := c.refused.Sentence; !strings.HasSuffix(s, ".") || len(s) < 20 {
		c.tb.Errorf("%q is no sentence", s)
	}
	if !errors.Is(c.err, io.EOF) {
		c.tb.Errorf("%s: behind the refusal comes %v", c.name, c.err)
	}
	return c.refused
}

// hears waits for a frame that is not of the roster, and takes it.
func (c *client) hears(what string, f func(*wire.ToClient) bool) (m *wire.ToClient) {
	c.tb.Helper()
	c.until(what, func() bool {
		i := slices.IndexFunc(c.heard, f)
		if i >= 0 {
			m = c.heard[i]
			c.heard = slices.Delete(c.heard, i, i+1)
		}
		return i >= 0
	})
	return m
}

// ping waits for the answer to a Ping.
func (c *client) ping() *wire.Pong {
	c.tb.Helper()
	c.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_Ping{}})
	return c.hears("a pong", func(m *wire.ToClient) bool { return m.GetPong() != nil }).GetPong()
}

func status(s *wire.Status) *wire.ToCoordinator {
	return &wire.ToCoordinator{Body: &wire.ToCoordinator_SetStatus{SetStatus: &wire.SetStatus{Status: s}}}
}

// dial connects from a host of that number.
func (w *world) dial(host int, name string, key identity.Key) *client {
	w.Helper()
	return newClient(w, w.sim.Host(address(host)), w.addr, name, key)
}

// login brings somebody online from a host of that number, with a new key.
func (w *world) login(host int, name string, change ...func(*wire.Hello)) *client {
	w.Helper()
	return w.loginAs(host, name, identity.NewKey(), change...)
}

func (w *world) loginAs(host int, name string, key identity.Key, change ...func(*wire.Hello)) *client {
	w.Helper()
	c := w.dial(host, name, key)
	c.sendHello(change...)
	c.until("a whole roster", func() bool { return c.welcome != nil && (c.welcome.Resumed || c.wholes > 0 && !c.growing) })
	return c
}

// login is world.login over real sockets.
func (b *bed) login(name string) *client {
	b.Helper()
	c := newClient(b, hostnet.OS, b.addr, name, identity.NewKey())
	c.sendHello()
	c.until("a whole roster", func() bool { return c.wholes > 0 && !c.growing })
	return c
}
