package client

import (
	"earshot/p2p"
	"earshot/p2p/portmap"
)

// routerTexts say why the router has opened no port.
var routerTexts = map[portmap.Reason]string{
	portmap.ErrNotNeeded:  "EngineRouterNotNeeded",
	portmap.ErrNotKnown:   "EngineRouterNotKnown",
	portmap.ErrNoGateway:  "EngineRouterNone",
	portmap.ErrNoAnswer:   "EngineRouterNoAnswer",
	portmap.ErrRefused:    "EngineRouterRefused",
	portmap.ErrDoubleNAT:  "EngineRouterBehindAnother",
	portmap.ErrBadAnswer:  "EngineRouterBadAnswer",
	portmap.ErrNoExternal: "EngineRouterNoAddress",
}

// whyNoPort is that in the person's language; empty if there is a port, or
// nobody asked for one.
func (e *Engine) whyNoPort(found p2p.Network) string {
	if id, ok := routerTexts[portmap.Reason(found.MappingReason)]; ok {
		return e.p.T(id)
	}
	return found.MappingWhy
}
