package secure

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p/portmap"
	"earshot/protocol/hostnet"
	"earshot/protocol/wire"
)

// fakeMapper opens what a test tells it.
type fakeMapper struct {
	portmap.Config

	mu      sync.Mutex
	status  portmap.Status
	changes int
	asked   []portmap.Outside
	ended   bool
}

func (m *fakeMapper) Run(ctx context.Context) error {
	<-ctx.Done()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	return nil
}

func (m *fakeMapper) Changed() {
	outside := m.Outside()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	m.asked = append(m.asked, outside)
}

func (m *fakeMapper) Ask(context.Context) portmap.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

func (m *fakeMapper) Mapping() (netip.AddrPort, portmap.Method, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status.External, m.status.Method, m.status.Err == nil
}

func (m *fakeMapper) set(s portmap.Status) {
	m.mu.Lock()
	m.status = s
	m.mu.Unlock()
	m.OnChange()
}

// last is what Outside said at the last change.
func (m *fakeMapper) last() (outside portmap.Outside, changes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.asked) > 0 {
		outside = m.asked[len(m.asked)-1]
	}
	return outside, m.changes
}

// withMapper gives a client a fakeMapper, which is made when the client runs.
func withMapper(cfg *Config) func() *fakeMapper {
	var mu sync.Mutex
	var made *fakeMapper
	cfg.MapPort = func(p portmap.Config) Mapper {
		mu.Lock()
		defer mu.Unlock()
		made = &fakeMapper{Config: p, status: portmap.Status{Err: portmap.ErrNotKnown}}
		return made
	}
	return func() *fakeMapper {
		mu.Lock()
		defer mu.Unlock()
		return made
	}
}

// seenAt answers the STUN requests of a host as if it were seen at an address;
// the zero Addr is as it is.
func (c *coordinator) seenAt(t *testing.T, sim *hostnet.Sim, as netip.Addr) {
	t.Helper()
	for _, port := range stunPorts {
		conn, err := sim.Host(coordinatorAt.Addr()).ListenPacket(t.Context(), netip.AddrPortFrom(coordinatorAt.Addr(), uint16(port)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		c.done.Go(func() { answerSTUN(conn, as) })
	}
}

const routerPort = 40999

var opened = portmap.Status{
	Method: portmap.UPnP, External: netip.AddrPortFrom(netip.MustParseAddr("11.0.10.10"), routerPort), Gateway: netip.MustParseAddr("10.0.0.254"),
}

// What a router has opened is told to whom this device introduces itself, as
// one of at most eight addresses, and not to everybody.
func TestMappedIsIntroduced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		c := startCoordinator(t, sim)
		var mapper func() *fakeMapper
		ann := newClient(t, sim, "10.0.0.2", "Ann", func(cfg *Config) { mapper = withMapper(cfg) })
		ann.online()
		bo := newClient(t, sim, "10.0.0.3", "Bo")
		bo.online()
		to := ann.came("Bo")
		if got := mapper().Port; got != ann.peerPort || got == 0 {
			t.Errorf("a mapping for port %d is asked for instead of %d", got, ann.peerPort)
		}
		mapper().set(opened)
		kinds := make(map[wire.Candidate_Kind][]netip.AddrPort)
		for _, candidate := range ann.candidates() {
			at, err := wire.ParseAddress(candidate.GetAddress())
			if err != nil {
				t.Fatal(err)
			}
			kinds[candidate.GetKind()] = append(kinds[candidate.GetKind()], at)
		}
		if got := kinds[wire.Candidate_KIND_MAPPED]; !slices.Equal(got, []netip.AddrPort{opened.External}) {
			t.Errorf("the candidates are %v", kinds)
		}
		for _, at := range ann.announced() {
			if at == opened.External {
				t.Error("everybody is told of the mapping")
			}
		}
		if err := ann.say(to, "hello"); err != nil {
			t.Fatal(err)
		}
		mapper().set(portmap.Status{Err: portmap.ErrNoAnswer})
		for _, candidate := range ann.candidates() {
			if candidate.GetKind() == wire.Candidate_KIND_MAPPED {
				t.Error("a mapping is told of that is no more")
			}
		}
		m := mapper()
		ann.stop()
		if !m.ended {
			t.Error("the mapping was not given back")
		}
		c.end()
	})
}

// With many addresses of its own, and all other kinds, eight are told.
func TestMappedIsOneOfEight(t *testing.T) {
	var hosts []netip.Addr
	for i := range 20 {
		hosts = append(hosts, netip.AddrFrom4([4]byte{10, 0, 1, byte(i + 1)}))
	}
	m := &fakeMapper{status: opened}
	tr := &Transport{cfg: Config{Net: manyAddresses{hostnet.NewSim().Host(hosts[0]), hosts}}, local: hosts[0], mapper: m, peerPort: 5000}
	tr.outside.asker = newAsker(t)
	list := tr.candidates()
	mapped := slices.ContainsFunc(list, func(c *wire.Candidate) bool { return c.GetKind() == wire.Candidate_KIND_MAPPED })
	if len(list) > maxCandidates || !mapped {
		t.Errorf("%d candidates: %v", len(list), list)
	}
	// A port of the router that is also seen by the coordinator is told once.
	if at := wire.Address(opened.External); slices.IndexFunc(list, func(c *wire.Candidate) bool { return string(c.GetAddress()) == string(at) }) < 0 {
		t.Error("it is another one")
	}
}

type manyAddresses struct {
	hostnet.Net
	all []netip.Addr
}

func (m manyAddresses) Addrs() ([]netip.Addr, error) { return m.all, nil }

// The router is asked once it is known that there is a NAT, and not where the
// coordinator sees the device's own address.
func TestRouterIsAskedBehindNAT(t *testing.T) {
	public := netip.MustParseAddr("11.0.10.10")
	for name, as := range map[string]netip.Addr{"NAT": public, "none": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := hostnet.NewSim()
				c := startCoordinator(t, sim)
				c.stun = stunPorts
				c.seenAt(t, sim, as)
				var mapper func() *fakeMapper
				ann := newClient(t, sim, "10.0.0.2", "Ann", func(cfg *Config) { mapper = withMapper(cfg) })
				ann.online()
				time.Sleep(5 * time.Second)
				synctest.Wait()
				want := portmap.Outside{Toward: coordinatorAt.Addr(), Seen: as, NAT: as.IsValid()}
				if !as.IsValid() {
					want.Seen = netip.MustParseAddr("10.0.0.2")
				}
				got, changes := mapper().last()
				if got != want || changes != 1 {
					t.Errorf("after %d changes the way out is %+v instead of %+v", changes, got, want)
				}
				// And again when the network has changed.
				ann.startOver()
				time.Sleep(5 * time.Second)
				synctest.Wait()
				if _, again := mapper().last(); again != changes+1 {
					t.Errorf("that the network has changed is told %d times", again-changes)
				}
			})
		})
	}
}

// The doctor is told what the router says, and why not.
func TestExamineRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		startCoordinator(t, sim)
		var mapper func() *fakeMapper
		ann := newClient(t, sim, "10.0.0.2", "Ann", func(cfg *Config) { mapper = withMapper(cfg) })
		ann.online()
		mapper().set(opened)
		found, err := ann.Examine(t.Context())
		if err != nil || found.Mapping != "UPnP" || found.Router != opened.Gateway || found.MappingWhy != "" || found.MappingReason != "" {
			t.Errorf("%+v, %v", found, err)
		}
		told := false
		for _, c := range found.Candidates {
			told = told || c.Kind == "mapped" && c.Addr == opened.External
		}
		if !told {
			t.Errorf("the addresses are %v", found.Candidates)
		}
		mapper().set(portmap.Status{Gateway: opened.Gateway, Err: portmap.ErrDoubleNAT})
		found, err = ann.Examine(t.Context())
		if err != nil || found.Mapping != "" || found.MappingReason != "double-nat" || found.MappingWhy != portmap.ErrDoubleNAT.Error() {
			t.Errorf("%+v, %v", found, err)
		}
		off := newClient(t, sim, "10.0.0.3", "Off")
		off.online()
		found, err = off.Examine(t.Context())
		if err != nil || found.Mapping != "" || found.MappingWhy != "" || found.Router.IsValid() {
			t.Errorf("without a Mapper: %+v, %v", found, err)
		}
	})
}
