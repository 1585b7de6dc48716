// Package control is a client's connection to its coordinator over the secure
// protocol: it logs in, mirrors the roster, and comes back by itself.
//
//	client.go   the goroutine that owns the login and its attempts
//	dial.go     finding the coordinator, and making sure that it is the one
//	link.go     one connection: a reader and a writer
//	mirror.go   the copy of the roster, as a pure type
//	retry.go    when to try again
package control
