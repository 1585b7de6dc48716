// Package gtk3 shows the popup's windows with GTK 3, which it loads at run
// time: the program is built without cgo and starts where GTK is missing.
//
// GTK is a library of one thread. All that touches it happens on the thread of
// Toolkit.Run, as package ui demands, so nothing here has a lock but the queue
// of Toolkit.Post. C calls back into a handful of functions that are made once;
// what they get as user data is the number of a Go function in a table, for Go
// pointers can't be left with C.
package gtk3
