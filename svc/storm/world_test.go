package storm

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"earshot/p2p/control"
	"earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/coordinator"
	"earshot/svc/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lanServer is where the coordinator is unless a test has another network.
var lanServer = netip.MustParseAddrPort("10.0.0.1:13277")

// world is a coordinator, which may be restarted, and the network round it.
type world struct {
	*testing.T
	sim      *hostnet.Sim
	key      identity.Key
	at       netip.AddrPort // the coordinator's
	accounts *accounts

	mu   sync.Mutex
	now  *coordinator.Coordinator // the one that runs
	stop func()
}

// inWorld runs a test in fake time, and fails it if anything is left running.
func inWorld(t *testing.T, test func(*world)) { inWorldAt(t, lanServer, test) }

func inWorldAt(t *testing.T, at netip.AddrPort, test func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, sim: hostnet.NewSim(), key: identity.NewKey(), at: at}
		w.accounts = &accounts{world: w, all: make(map[string]engine.Account)}
		w.serve()
		defer func() { w.stop() }()
		test(w)
	})
}

// serve runs a coordinator that has just been started.
func (w *world) serve() {
	certificate := w.key.Certificate()
	c, err := coordinator.New(coordinator.Config{
		Listen: w.at, WebListen: netip.AddrPortFrom(w.at.Addr(), coordinator.DefaultWebPort), Net: w.sim.Host(w.at.Addr()), Accounts: w.accounts,
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
		Log:         slog.New(slog.NewTextHandler(w.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	<-c.Ready()
	w.mu.Lock()
	w.now = c
	w.mu.Unlock()
	w.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("the coordinator: %v", err)
		}
	}
}

// restart ends the coordinator and starts another one, with nobody on its
// roster. A crash tells nobody.
func (w *world) restart(crash bool) {
	if crash {
		w.sim.Kill(w.at.Addr())
	}
	w.stop()
	w.serve()
}

// accounts is who owns which name, without a disk: what the disk adds is
// tested where the accounts are.
type accounts struct {
	world *world
	mu    sync.Mutex
	all   map[string]engine.Account
}

func (a *accounts) Lookup(name string) (engine.Account, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, ok := a.all[classic.NameKey(name)]
	return account, ok
}

func (a *accounts) OwnerOf(device identity.PublicKey) (engine.Account, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, account := range a.all {
		if _, has := account.Device(device); has {
			return account, true
		}
	}
	return engine.Account{}, false
}

// Claim lets nobody in who isn't known.
func (a *accounts) Claim(_ context.Context, _ string, d engine.Device, _ engine.Policy, _ string) (engine.Account, error) {
	return engine.Account{}, engine.ErrTaken
}

func (a *accounts) AddDevice(_ context.Context, name string, d engine.Device) (engine.Account, error) {
	return a.change(name, func(account *engine.Account) { account.Devices = append(slices.Clone(account.Devices), d) }), nil
}

func (a *accounts) RemoveDevice(_ context.Context, name string, key identity.PublicKey) error {
	a.change(name, func(account *engine.Account) {
		account.Devices = slices.DeleteFunc(slices.Clone(account.Devices), func(d engine.Device) bool { return d.Key == key })
	})
	return nil
}

func (a *accounts) change(name string, f func(*engine.Account)) engine.Account {
	a.mu.Lock()
	before := a.all[classic.NameKey(name)]
	after := before
	after.Name = name
	f(&after)
	a.all[classic.NameKey(name)] = after
	a.mu.Unlock()
	a.world.mu.Lock()
	now := a.world.now
	a.world.mu.Unlock()
	now.AccountChanged(before, after)
	return after
}

// device is a program of the secure protocol on a host of its own, with the
// view of the roster that its events add up to.
type device struct {
	world *world
	name  string
	key   identity.Key
	addr  netip.Addr

	cancel context.CancelFunc // nil while it doesn't run
	ended  chan struct{}
	client *control.Client

	mu     sync.Mutex
	status *wire.Status
	online bool
	view   map[uint64]*wire.User
}

func (d *device) runs() bool { return d.cancel != nil }

// start runs the program. It has forgotten what it knew of the roster.
func (d *device) start() {
	port := d.world.at.Port()
	if d.web() {
		port = 1 // where nobody is
	}
	client, err := control.New(control.Config{
		Net: d.world.sim.Host(d.addr), Host: "coordinator", Port: port, Key: d.key,
		Proxy:   func(*http.Request) (*url.URL, error) { return nil, nil },
		Resolve: func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{d.world.at.Addr()}, nil },
		Verify: func(state tls.ConnectionState) error {
			if got := identity.Fingerprint(state.PeerCertificates[0]); got != d.world.key.Public().ID() {
				return fmt.Errorf("a stranger, %v", got)
			}
			return nil
		},
		Hello: d.hello,
	})
	if err != nil {
		d.world.Fatal(err)
	}
	d.client, d.view, d.online = client, nil, false
	var ctx context.Context
	ctx, d.cancel = context.WithCancel(context.Background())
	d.ended = make(chan struct{})
	go func() {
		defer close(d.ended)
		if err := client.Run(ctx, d.take); err != nil {
			d.world.Errorf("%s: %v", d.name, err)
		}
	}()
}

// web says whether the device reaches the coordinator's web port only.
func (d *device) web() bool { return d.addr.As4()[3]%3 == 0 }

// stop ends the program; the coordinator sees that, unless the cable is out.
func (d *device) stop() {
	d.cancel()
	<-d.ended
	d.cancel = nil
}

func (d *device) hello(local netip.Addr) *wire.Hello {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := &wire.Hello{VersionMin: 1, VersionMax: 1, Name: d.name, Program: "storm", DeviceLabel: d.addr.String(), Status: d.status}
	if d.addr.As4()[3]%2 == 0 { // half of them can be reached by the classic protocol
		h.Classic = &wire.Classic{Endpoint: wire.Address(netip.AddrPortFrom(local, 4000)), Encoding: wire.Encoding_ENCODING_UTF8}
	}
	return h
}

// take keeps the view by what the program is told, as any client would.
func (d *device) take(ev control.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch ev := ev.(type) {
	case control.Connected:
		d.online, d.view = true, make(map[uint64]*wire.User)
		for _, u := range ev.Users {
			d.view[u.Id] = u
		}
	case control.Disconnected:
		d.online = false
		if strings.Contains(fmt.Sprint(ev.Cause), "roster") {
			d.world.Errorf("%s was told what can't be: %v", d.name, ev.Cause)
		}
	case control.Put:
		d.view[ev.User.Id] = ev.User
	case control.Gone:
		if d.view[ev.User.Id] == nil {
			d.world.Errorf("%s is told that %s has gone, who wasn't there", d.name, ev.User.Name)
		}
		delete(d.view, ev.User.Id)
	}
}

// say changes what the person says of itself. What doesn't reach the
// coordinator is said with the next hello.
func (d *device) say(status *wire.Status) {
	d.mu.Lock()
	d.status = status
	d.mu.Unlock()
	if d.runs() {
		_ = d.client.Send(&wire.ToCoordinator{Body: &wire.ToCoordinator_SetStatus{SetStatus: &wire.SetStatus{Status: status}}})
	}
}

// lines are users in a form that can be compared: all of it, in order.
func lines(users []*wire.User) []string {
	users = slices.SortedFunc(slices.Values(users), func(a, b *wire.User) int { return cmp.Compare(a.Id, b.Id) })
	var all []string
	for _, u := range users {
		frame := wire.Append(nil, &wire.ToClient{Body: &wire.ToClient_Delta{Delta: &wire.Delta{Change: &wire.Delta_Put{Put: u}}}})
		all = append(all, fmt.Sprintf("%d %s %x", u.Id, u.Name, frame))
	}
	return all
}

// sees is the device's view.
func (d *device) sees() (online bool, all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.online, lines(slices.Collect(maps.Values(d.view)))
}

// settle lets time pass.
func settle(d time.Duration) {
	time.Sleep(d) // fake time
	synctest.Wait()
}
