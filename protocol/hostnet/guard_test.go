package hostnet_test

import (
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"earshot/protocol/hostnet"
)

// TestGuardTakes is what can be guarded on which system. What it brings is seen
// in kernelnat, where a network can be cut.
func TestGuardTakes(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	near, far := bed{t, hostnet.OS, hostnet.OS, loopback, loopback}.pair()
	for _, c := range []net.Conn{near, far} {
		switch guarded := hostnet.Guard(c, time.Minute); runtime.GOOS {
		case "linux":
			if !guarded {
				t.Error("Linux can't guard a connection")
			}
		case "windows": // what takes its place, such as wine, may know no TCP_MAXRT
			t.Logf("guarded: %v", guarded)
		default:
			if guarded {
				t.Errorf("who guards a connection on %s?", runtime.GOOS)
			}
		}
	}
	if _, err := io.WriteString(near, "still there"); err != nil {
		t.Fatal(err)
	}
	near.Close()
	if b, err := io.ReadAll(far); err != nil || string(b) != "still there" {
		t.Errorf("%q, %v", b, err)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if hostnet.Guard(a, time.Minute) {
		t.Error("a pipe has no host to guard")
	}
}
