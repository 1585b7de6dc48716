// Package protocol holds what two programs must agree on: wire formats and the
// rules that make a value fit to be put on the wire.
//
// Nothing below this directory performs I/O on the product's behalf. The one
// package that touches sockets is hostnet, the interface through which the
// rest of the house is handed a network, real or in memory.
package protocol
