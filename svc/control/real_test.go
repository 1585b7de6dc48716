package control

import (
	"testing"

	"earshot/protocol/hostnet"
)

var osNet = hostnet.OS

// serveReal runs a server on a socket of the loopback interface.
func serveReal(t testing.TB, configure ...func(*Config)) *bed {
	t.Helper()
	return serve(t, osNet, loopback, configure...)
}
