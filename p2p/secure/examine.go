package secure

import (
	"context"
	"fmt"
	"sync"
	"time"

	"earshot/p2p"
	"earshot/p2p/nat"
	"earshot/p2p/trunk"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// errNoUDP is a network that lets no datagrams through.
var errNoUDP = fmt.Errorf("%w: no datagram came back from the coordinator", p2p.ErrNoAnswer)

var _ p2p.Examiner = (*Transport)(nil)

var candidateKinds = map[wire.Candidate_Kind]string{
	wire.Candidate_KIND_HOST: "host", wire.Candidate_KIND_REFLEXIVE: "reflexive", wire.Candidate_KIND_MAPPED: "mapped",
}

// Examine implements p2p.Examiner: it tries every way to the coordinator now.
func (t *Transport) Examine(ctx context.Context) (p2p.Network, error) {
	select {
	case <-t.ready:
	default:
		return p2p.Network{}, p2p.ErrNotConnected
	}
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	found := p2p.Network{Server: t.server(), NAT: nat.Unknown.String(), Firewall: nat.FilteringUnknown.String()}
	var tcp, web, udp p2p.Check
	var wg sync.WaitGroup
	wg.Go(func() { tcp = check("tcp", func() error { return t.control.Try(ctx, trunk.TCP) }) })
	wg.Go(func() { web = check("web", func() error { return t.control.Try(ctx, trunk.Web) }) })
	wg.Go(func() {
		defer t.examineRouter(ctx, &found) // who must know the outcome
		udp = check("udp", func() error {
			report, err := t.survey(ctx, true)
			if err != nil {
				return err
			}
			found.NAT, found.Firewall = report.Kind.String(), report.Filtering.String()
			if report.Kind == nat.Blocked {
				return errNoUDP
			}
			return nil
		})
	})
	wg.Wait()
	found.Relay = t.relay.Connected()
	found.Checks = []p2p.Check{tcp, udp, web}
	for _, c := range t.candidates() {
		if at, err := wire.ParseAddress(c.GetAddress()); err == nil {
			found.Candidates = append(found.Candidates, p2p.Candidate{Kind: candidateKinds[c.GetKind()], Addr: at})
		}
	}
	return found, ctx.Err()
}

// check tries one way.
func check(what string, try func() error) p2p.Check {
	start := time.Now()
	err := try()
	c := p2p.Check{What: what, OK: err == nil, Took: time.Since(start)}
	if err != nil {
		c.Why = err.Error()
	}
	return c
}

// Try implements p2p.Examiner.
func (t *Transport) Try(ctx context.Context, device identity.PublicKey) (p2p.Route, error) {
	select {
	case <-t.ready:
		return t.peer.Try(ctx, device)
	default:
		return p2p.RouteNone, p2p.ErrNotConnected
	}
}
