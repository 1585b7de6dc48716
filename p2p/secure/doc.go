// Package secure is a peer on the network of the secure protocol: it implements
// p2p.Transport with a connection to the coordinator (p2p/control), sessions
// with other devices (p2p/session), and talk datagrams for the classic people
// on the same roster (p2p/classic).
//
//	transport.go   the goroutine that puts these together
//	directory.go   who is who: people, their devices, and where those are
//	convert.go     the wire's messages as p2p's nouns, and back
//	pin.go         which coordinator is believed to be the right one
//	join.go        codes for another device, and the account's own devices
//	hello.go       what the coordinator is told of this client
//	mapped.go      the port that the router opens
//	watch.go       addresses that change, and a computer that was asleep
package secure
