// Package natlab tests how two clients find each other through the kernel's
// real NATs: the shipped programs, in network namespaces that each test makes
// for itself and that have no way out of this machine.
//
//	host a ─ [inner NAT] ─ edge a ─┐
//	                              pub, with the coordinator
//	host b ─ [inner NAT] ─ edge b ─┘
//
// `make nat-matrix` runs every kind of network against every other one and
// writes RESULTS.md; without it the tests run a part of that.
package natlab
