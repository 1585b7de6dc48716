package client

import (
	"cmp"
	"maps"
	"slices"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
)

var routes = map[p2p.Route]chat.Route{
	p2p.RouteDirect: chat.RouteDirect, p2p.RoutePunched: chat.RoutePunched, p2p.RouteRelayed: chat.RouteRelayed,
}

// reached takes note of how a device is reached. A way that is given up because
// nobody uses it stays the person's last one.
func (e *Engine) reached(r p2p.Reached) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.people[key(r.Name)]
	if p == nil {
		return // the own account, or somebody who is on no roster
	}
	before := e.viewLocked(p)
	if r.Route == p2p.RouteNone {
		delete(p.routes, r.Device)
		if len(p.routes) == 0 && r.Why != "" && p.online {
			p.unreachable = e.unreachable(r.Why)
		}
	} else {
		if p.routes == nil {
			p.routes = make(map[identity.PublicKey]p2p.Route)
		}
		p.routes[r.Device] = r.Route
		p.unreachable = ""
	}
	if len(p.routes) > 0 {
		p.route = best(slices.Collect(maps.Values(p.routes)))
	}
	if view := e.viewLocked(p); view != before {
		e.publishLocked(chat.Event{Type: chat.EventPerson, Person: &view})
	}
}

// best is the best of several ways, of which some may be none.
func best(all []p2p.Route) chat.Route {
	found := p2p.RouteNone
	for _, r := range all {
		if r != p2p.RouteNone {
			found = cmp.Or(min(found, r), r)
		}
	}
	return routes[found]
}

// unreachable says in the person's language why a session has ended. The words
// are those of the session's codes.
func (e *Engine) unreachable(why string) string {
	switch why {
	case "lost":
		return e.p.T("EngineRouteLost")
	case "no version in common":
		return e.p.T("EngineRouteVersion")
	}
	return e.p.T("EngineRouteBroken", "Reason", why)
}
