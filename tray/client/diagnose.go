package client

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/localapi"
)

const (
	// maxTried is how many people Diagnose tries to reach unless it is told
	// whom, and triedAtOnce how many at a time: a search for a way through two
	// routers may take hundreds of datagrams.
	maxTried    = 20
	triedAtOnce = 4
	// tryWithin bounds the search for one person's devices.
	tryWithin = 12 * time.Second
)

// attempt is somebody whom Diagnose tries to reach, on these devices.
type attempt struct {
	reach   chat.Reach
	devices []identity.PublicKey
	last    time.Time
}

// Diagnose implements localapi.Engine.
func (e *Engine) Diagnose(ctx context.Context, names []string) (chat.Diagnosis, error) {
	d := chat.Diagnosis{At: now(), Server: e.Status().Server}
	attempts, err := e.attempts(names, &d)
	if err != nil {
		return d, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var work, watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		select {
		case <-e.done:
			cancel()
		case <-ctx.Done():
		}
	})
	examiner, ok := e.config.Transport.(p2p.Examiner)
	work.Go(func() {
		found, err := p2p.Network{}, p2p.ErrNotSupported
		if ok {
			found, err = examiner.Examine(ctx)
		}
		d.Protocol = protocolOf(found, err)
		describe(&d, found)
		d.MappingWhy = e.whyNoPort(found)
	})
	room := make(chan struct{}, triedAtOnce)
	for i := range attempts {
		a := &attempts[i]
		if !ok || len(a.devices) == 0 {
			continue
		}
		work.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			try(ctx, examiner, a)
		})
	}
	work.Wait()
	select {
	case <-e.done:
		return d, e.ending()
	default:
	}
	for _, a := range attempts {
		d.People = append(d.People, a.reach)
	}
	return d, ctx.Err()
}

// attempts are whom to try: those who are named, or else those who are online,
// people with a way of their own first, then those with whom one talks.
func (e *Engine) attempts(names []string, d *chat.Diagnosis) (list []attempt, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range names {
		p := e.people[key(name)]
		if p == nil || isGroup(p.Name) || !p.online && !p.talked {
			return nil, e.sentence(localapi.CodeUnknownPerson, "EngineUnknownPerson", "Name", name)
		}
		list = append(list, e.attemptLocked(p))
	}
	if len(names) > 0 {
		return list, nil
	}
	if e.status.Own.Presence == chat.Invisible {
		d.Hidden = true
		return nil, nil
	}
	for _, p := range e.people {
		if p.online && !isGroup(p.Name) {
			list = append(list, e.attemptLocked(p))
		}
	}
	slices.SortFunc(list, func(a, b attempt) int {
		return cmp.Or(
			first(len(a.devices) > 0, len(b.devices) > 0),
			b.last.Compare(a.last),
			cmp.Compare(key(a.reach.Name), key(b.reach.Name)),
		)
	})
	tried := min(len(list), maxTried)
	d.NotTried = len(list) - tried
	return list[:tried], nil
}

func (e *Engine) attemptLocked(p *person) attempt {
	a := attempt{reach: chat.Reach{Name: p.Name}, last: p.last}
	switch {
	case !p.online:
		a.reach.Skip = chat.SkipOffline
		return a
	case p.trust.Blocked():
		a.reach.Skip = chat.SkipBlocked
		return a
	}
	for _, device := range trusted(e.known[key(p.Name)]) {
		if isOnline(p.Person, device) {
			a.devices = append(a.devices, device)
		}
	}
	if len(a.devices) == 0 {
		a.reach.Skip = chat.SkipClassic
	}
	return a
}

// try reaches a person's devices, all at once, and notes the best way and how
// long that one took.
func try(ctx context.Context, examiner p2p.Examiner, a *attempt) {
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	begun := now()
	var mu sync.Mutex
	var found []p2p.Route
	var tries sync.WaitGroup
	for _, device := range a.devices {
		tries.Go(func() {
			route, err := examiner.Try(ctx, device)
			if err != nil || route == p2p.RouteNone {
				return // that it is not reached says all
			}
			took := now().Sub(begun).Milliseconds()
			mu.Lock()
			defer mu.Unlock()
			found = append(found, route)
			if way := best(found); way != a.reach.Route {
				a.reach.Route, a.reach.Milliseconds = way, took
			}
		})
	}
	tries.Wait()
}

func protocolOf(found p2p.Network, err error) chat.Protocol {
	switch {
	case errors.Is(err, p2p.ErrNotSupported):
		return chat.ProtocolClassic
	case slices.ContainsFunc(found.Checks, func(c p2p.Check) bool { return c.OK }):
		return chat.ProtocolSecure
	}
	return chat.ProtocolUnknown
}

// describe puts what was found into words of the client.
func describe(d *chat.Diagnosis, found p2p.Network) {
	d.NAT, d.Firewall, d.Relay = found.NAT, found.Firewall, found.Relay
	d.Mapping, d.MappingReason = found.Mapping, found.MappingReason
	if found.Router.IsValid() {
		d.Router = found.Router.String()
	}
	for _, c := range found.Checks {
		why := ""
		if !c.OK {
			why = reason(errors.New(c.Why))
		}
		d.Checks = append(d.Checks, chat.Check{What: c.What, OK: c.OK, Milliseconds: c.Took.Milliseconds(), Why: why})
	}
	for _, c := range found.Candidates {
		d.Addresses = append(d.Addresses, chat.Address{Kind: c.Kind, At: c.Addr.String()})
	}
}
