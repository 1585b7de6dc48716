package secure

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"earshot/p2p/control"
	"earshot/p2p/nat"
	"earshot/p2p/punch"
	"earshot/p2p/session"
	"earshot/p2p/trunk"
	wirec "earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

const (
	// freshFor is how long a NAT surely keeps what it told an outsider. RFC
	// 4787 wants two minutes; Linux keeps a mapping that nobody answered for
	// thirty seconds.
	freshFor = 20 * time.Second
	// askWithin bounds a look at the network, and examineWithin a thorough one.
	askWithin     = 3 * time.Second
	examineWithin = 8 * time.Second
	// introduceWithin is how long an introduction waits for what isn't known.
	introduceWithin = 200 * time.Millisecond
)

// outside is what this device knows of its way out. One mutex guards it; asker
// has its own.
type outside struct {
	asker *nat.Asker

	mu      sync.Mutex
	servers []netip.AddrPort // that answer STUN
	token   string
	relay   bool
	web     uint16
	doubted time.Time
	told    netip.Addr // where this device is seen, as the Mapper was told
}

var kinds = map[nat.Kind]wire.Nat{
	nat.None: wire.Nat_NAT_NONE, nat.Easy: wire.Nat_NAT_EASY, nat.Hard: wire.Nat_NAT_HARD, nat.Blocked: wire.Nat_NAT_BLOCKED,
}

// network says how the NATs on the way out behave, and how far an opener must
// go: past the NATs, all of which are before the last router on the way to the
// coordinator, and as little further as can be told.
func (o *outside) network() (wire.Nat, int) {
	report, ok := o.asker.Last()
	if !ok {
		return wire.Nat_NAT_UNSPECIFIED, 0
	}
	if report.Hops == 0 {
		return kinds[report.Kind], 0
	}
	return kinds[report.Kind], min(int(report.Hops)+1, nat.MaxHops)
}

func (o *outside) askable() (servers []netip.AddrPort) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.servers)
}

func (o *outside) user() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.token
}

// learn takes what a Welcome says of the coordinator's ports.
func (t *Transport) learn(ctx context.Context, e control.Connected) {
	addrs, err := t.resolve(ctx)
	if err != nil {
		t.log.Debug("the coordinator's other addresses are not known", "error", err)
	}
	if at := e.Remote.Addr().Unmap(); at.IsValid() && e.Way == trunk.TCP {
		addrs = slices.DeleteFunc(addrs, func(a netip.Addr) bool { return a == at })
		addrs = slices.Insert(addrs, 0, at)
	}
	var servers []netip.AddrPort
	for _, a := range addrs {
		for _, port := range e.Welcome.GetStunPorts() {
			if port > 0 && port < 1<<16 {
				servers = append(servers, netip.AddrPortFrom(a.Unmap(), uint16(port)))
			}
		}
	}
	o := &t.outside
	o.mu.Lock()
	defer o.mu.Unlock()
	o.servers, o.token, o.relay, o.web = servers, e.Welcome.GetStunToken(), e.Welcome.GetRelay(), uint16(e.Welcome.GetWebPort())
}

func (t *Transport) resolve(ctx context.Context) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	if t.cfg.Resolve != nil {
		return t.cfg.Resolve(ctx, t.cfg.Host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", t.cfg.Host)
}

// survey finds out how this device is seen from outside, and tells Run's
// goroutine nothing: whoever needs it asks network and candidates.
func (t *Transport) survey(ctx context.Context, full bool) (nat.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	report, err := t.outside.asker.Ask(ctx, full)
	if err != nil {
		t.log.Debug("how this device is seen from outside is not known", "error", err)
		return report, err
	}
	t.log.Debug("this device is seen from outside", "nat", report.Kind.String(), "ipv4", report.V4, "ipv6", report.V6,
		"hops", report.Hops, "round_trip", report.RTT)
	t.seenAt(report.V4.Addr())
	return report, nil
}

// surveyor looks at the network whenever there is a new login, and on demand.
func (t *Transport) surveyor(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-t.logins:
			t.learn(ctx, e)
		case <-t.look:
		}
		t.anotherNetwork()
		// What was found out is asked for; that takes a second, but most of it is
		// known after a round trip or two.
		_, _ = t.survey(ctx, true)
	}
}

// early takes what the beginning of a full look at the network has shown: the
// router waits for that, and searches for a path do.
func (t *Transport) early(r nat.Report) {
	t.seenAt(r.V4.Addr())
	t.peer.Placed()
}

// lookAround has the surveyor work.
func (t *Transport) lookAround() {
	select {
	case t.look <- struct{}{}:
	default:
	}
}

// doubt is a device that doesn't answer any more. If that is because this
// device's NAT has forgotten all, its connection to the coordinator is as dead,
// and what it knew of its addresses is wrong.
func (t *Transport) doubt() {
	t.outside.doubt()
	t.control.Kick()
	t.relay.Kick()
}

// doubt says that what was found out may hold no more.
func (o *outside) doubt() {
	o.mu.Lock()
	o.doubted = time.Now()
	o.mu.Unlock()
	o.asker.Doubt()
}

// current says whether what was found out at a time still holds.
func (o *outside) current(at time.Time) bool { return time.Since(at) < freshFor && !o.inDoubt(at) }

// inDoubt says that there is reason to believe that it doesn't.
func (o *outside) inDoubt(at time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !at.After(o.doubted)
}

// candidates are where a device may reach this one that this one talks to:
// what its network calls it, what a router has opened, and what the coordinator
// sees, which may be the same; at most eight.
func (t *Transport) candidates() []*wire.Candidate {
	hosts := t.announced()
	if len(hosts) > maxCandidates-3 {
		hosts = hosts[:maxCandidates-3]
	}
	list := hostCandidates(hosts)
	add := func(kind wire.Candidate_Kind, at netip.AddrPort) {
		if at.IsValid() && !slices.Contains(hosts, at) {
			hosts = append(hosts, at)
			list = append(list, &wire.Candidate{Kind: kind, Address: wire.Address(at)})
		}
	}
	add(wire.Candidate_KIND_MAPPED, t.mapped())
	if report, ok := t.outside.asker.Last(); ok {
		for _, at := range []netip.AddrPort{report.V4, report.V6} {
			if !at.Addr().IsLoopback() { // as a coordinator on this computer sees it
				add(wire.Candidate_KIND_REFLEXIVE, at)
			}
		}
	}
	return list
}

// introduce asks the coordinator to tell a device of this one, or answers when
// it did so itself. What is known goes at once, and again if it turns out to
// have changed. Who asks and knows nothing waits a little: the other device can
// open its NAT only for an address that it was told, and what comes before that
// may spoil its NAT (punch's Machine.ttl).
func (t *Transport) introduce(device identity.PublicKey, key [punch.KeySize]byte, answer bool) {
	say := func() {
		kind, _ := t.outside.network()
		// While the coordinator is away the session tries what it knows.
		_ = t.control.Send(&wire.ToCoordinator{Body: &wire.ToCoordinator_Introduce{Introduce: &wire.Introduce{
			Device: device[:], Candidates: t.candidates(), ProbeKey: key[:], Nat: kind, Answer: answer,
		}}})
	}
	before, known := t.outside.asker.Last()
	if known && t.outside.current(before.At) {
		say()
		return
	}
	var later *time.Timer
	if answer || known && !t.outside.inDoubt(before.At) {
		say()
	} else {
		later = time.AfterFunc(introduceWithin, say)
	}
	t.surveys.Go(func() {
		after, err := t.survey(t.life, false)
		t.peer.Placed()
		if later != nil && later.Stop() ||
			err == nil && (!known || after.Kind != before.Kind || after.V4 != before.V4 || after.V6 != before.V6) {
			say()
		}
	})
}

// introduced takes the coordinator's word that a device wants to talk, or
// answers.
func (t *Transport) introduced(i *wire.Introduction) {
	device, err := identity.ParsePublicKey(i.GetDevice())
	name := i.GetUser().GetName()
	if err != nil || wirec.ValidateName(name) != nil {
		return
	}
	told := session.Introduction{Nat: i.GetNat(), Key: i.GetProbeKey(), Answer: i.GetAnswer()}
	var hosts []netip.AddrPort
	for _, c := range i.GetCandidates()[:min(len(i.GetCandidates()), maxCandidates)] {
		at, err := wire.ParseAddress(c.GetAddress())
		if err != nil || at.Port() == 0 {
			continue
		}
		if len(t.reachable([]netip.AddrPort{at})) == 0 {
			continue
		}
		told.Candidates = append(told.Candidates, punch.Candidate{Kind: c.GetKind(), At: at})
		if c.GetKind() == wire.Candidate_KIND_HOST {
			hosts = append(hosts, at)
		}
	}
	if !told.Answer {
		if !t.admits(personOf(i.GetUser()), device) {
			t.log.Debug("a device is not told where this one is", "device", device.ID().Short(), "name", name)
			return
		}
		t.directory.introduced(device, name, hosts, time.Now())
	}
	t.peer.Introduced(device, told)
}
