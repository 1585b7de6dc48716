// Package session carries items straight between two devices, end to end
// encrypted, in order and as often as it takes until the other side has stored
// them. A session is what two devices have with each other; the QUIC
// connections below it come and go.
//
//	session.go   Endpoint: one UDP socket, all devices
//	accept.go    connections that others make, and their limits
//	device.go    the goroutine that owns everything about one other device
//	machine.go   its decisions, as a pure state machine
//	liveness.go  which of them follow from what was heard, and when
//	reach.go     which of them make new connections
//	backoff.go   how long a device is left alone that takes nothing
//	dial.go      connections that this device makes
//	link.go      one connection: the hello, what arrives and what leaves
//	frame.go     what a frame may say
//
// A session's connection carries frames of wire.ToPeer on one bidirectional
// stream, which the dialler opens; PeerHello comes first in both directions.
package session
