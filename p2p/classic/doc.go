// Package classic is a peer on the network of the classic protocol: it
// implements p2p.Transport.
//
//	machine.go     the login, as a pure state machine
//	transport.go   the goroutine that owns the machine, and its sockets
//	receive.go     datagrams and lists that arrive
//	send.go        messages that leave
package classic
