package hostnet_test

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"earshot/protocol/hostnet"
)

// Connections that fall silent together don't ask together: after how many
// seconds each does is its own.
func TestGuardsAskApart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const conns = 240
	after := make(map[int]int) // seconds: connections
	for range conns {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if !hostnet.Guard(conn, time.Minute) {
			t.Fatal("it can't be guarded")
		}
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var seconds int
		if controlErr := raw.Control(func(fd uintptr) { seconds, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE) }); controlErr != nil || err != nil {
			t.Fatal(controlErr, err)
		}
		after[seconds]++
	}
	for seconds, many := range after {
		if seconds < 27 || seconds > 39 || many > conns/4 {
			t.Errorf("%d of %d ask after %d s", many, conns, seconds)
		}
	}
	if len(after) < 8 {
		t.Errorf("they ask at %d times: %v", len(after), after)
	}
}
