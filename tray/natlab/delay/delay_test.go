//go:build linux

package delay_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"earshot/tray/natlab"
	"earshot/tray/natlab/delay"
	"earshot/tray/natlab/netns"
)

// What goes in at one end comes out at the other, late, in order, and less of
// it where packets are lost.
func TestWire(t *testing.T) {
	natlab.Need(t)
	for _, q := range []delay.Quality{{}, {Latency: 30 * time.Millisecond}, {Latency: time.Millisecond, Loss: 0.2}} {
		t.Run(fmt.Sprintf("%v and %v lost", q.Latency, q.Loss), func(t *testing.T) {
			t.Parallel()
			carry(t, q)
		})
	}
}

func carry(t *testing.T, q delay.Quality) {
	var ends [2]delay.End
	for i := range ends {
		ends[i] = delay.End{Namespace: fmt.Sprintf("natlab-%d-0-%d-%d", os.Getpid(), i, q.Latency), Device: "wire"}
		ip(t, "netns", "add", ends[i].Namespace)
		t.Cleanup(func() { ip(t, "netns", "del", ends[i].Namespace) })
	}
	wire, err := delay.Open(ends[0], ends[1], q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wire.Close)
	var socket [2]*net.UDPConn
	for i, end := range ends {
		ip(t, "-n", end.Namespace, "addr", "add", fmt.Sprintf("10.0.0.%d/24", i+1), "dev", end.Device)
		ip(t, "-n", end.Namespace, "link", "set", end.Device, "up")
		err := netns.Do(end.Namespace, func() (err error) {
			socket[i], err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(10, 0, 0, byte(i+1)), Port: 5000})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { socket[i].Close() })
	}

	const n = 150 // and more than that no socket keeps
	began := time.Now()
	go func() {
		for i := range n {
			_, _ = socket[0].WriteToUDPAddrPort(fmt.Appendf(nil, "%04d", i), netip.MustParseAddrPort("10.0.0.2:5000"))
		}
		// The last one says that it is over, so often that one comes.
		for range 50 {
			_, _ = socket[0].WriteToUDPAddrPort([]byte("9999"), netip.MustParseAddrPort("10.0.0.2:5000"))
		}
	}()
	got, last, buf := 0, "", make([]byte, 10)
	_ = socket[1].SetReadDeadline(began.Add(10 * time.Second))
	for {
		size, _, err := socket[1].ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		text := string(buf[:size])
		if took := time.Since(began); got == 0 && took < q.Latency {
			t.Errorf("the first packet took %v", took)
		}
		if text <= last {
			t.Fatalf("%s comes after %s", text, last)
		}
		if last = text; text == "9999" {
			break
		}
		got++
	}
	if lost := n - got; q.Loss == 0 && lost > 0 || q.Loss > 0 && (lost < n/20 || lost > n/2) {
		t.Errorf("%d of %d are lost, which is to be %v", lost, n, q.Loss)
	}
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Errorf("ip %v: %v: %s", args, err, out)
	}
}
