//go:build linux

package natlab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"earshot/tray/natlab/netns"
)

// udp is a UDP socket in a namespace, by which the tests look at the NATs
// themselves.
type udp struct {
	lab  *lab
	conn *net.UDPConn
}

func (l *lab) listenUDP(namespace, at string) *udp {
	l.t.Helper()
	u := &udp{lab: l}
	err := netns.Do(namespace, func() (err error) {
		u.conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { u.conn.Close() })
	return u
}

func (u *udp) addr() netip.AddrPort { return u.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (u *udp) send(to netip.AddrPort, text string) {
	u.lab.t.Helper()
	if _, err := u.conn.WriteToUDPAddrPort([]byte(text), to); err != nil {
		u.lab.t.Fatal(err)
	}
}

// receive returns where a text came from; ok is false if it doesn't come
// within a time in which it would have.
func (u *udp) receive(text string) (from netip.AddrPort, ok bool) {
	u.lab.t.Helper()
	_ = u.conn.SetReadDeadline(time.Now().Add(quiet))
	buf := make([]byte, 100)
	for {
		n, from, err := u.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return netip.AddrPort{}, false
		}
		if err == nil && string(buf[:n]) == text {
			return netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), true
		}
	}
}

// quiet is how long a datagram would take at most.
const quiet = 250 * time.Millisecond

// dials says whether a TCP connection comes about.
func (l *lab) dials(namespace, to string) bool {
	l.t.Helper()
	err := netns.Do(namespace, func() error {
		// Package net makes the socket for a numeric address on this thread.
		conn, err := net.DialTimeout("tcp", to, quiet)
		if err == nil {
			conn.Close()
		}
		return err
	})
	return err == nil
}

// listenTCP listens and takes connections, until the test ends.
func (l *lab) listenTCP(namespace string, at ...string) []string {
	l.t.Helper()
	for _, address := range at {
		err := netns.Do(namespace, func() error {
			listener, err := net.Listen("tcp", address)
			if err == nil {
				l.t.Cleanup(func() { listener.Close() })
			}
			return err
		})
		if err != nil {
			l.t.Fatal(err)
		}
	}
	return at
}

// listens says whether somebody listens on a TCP port in a namespace.
func (l *lab) listens(namespace string, port int) bool {
	l.t.Helper()
	return strings.TrimSpace(l.must(l.command(namespace, "ss", "-Hltn", "sport", "=", strconv.Itoa(port)))) != ""
}

// traffic is what a host has sent and received.
type traffic struct{ bytes, probes int }

func (a traffic) minus(b traffic) traffic { return traffic{a.bytes - b.bytes, a.probes - b.probes} }

// traffic reads the counters of a side's host.
func (s *side) traffic() (n traffic) {
	t := s.lab.t
	t.Helper()
	var links []struct {
		Stats struct {
			RX, TX struct{ Bytes int }
		} `json:"stats64"`
	}
	out := s.lab.must(s.lab.command(s.host, "ip", "-j", "-s", "link", "show", "dev", s.device))
	if err := json.Unmarshal([]byte(out), &links); err != nil || len(links) != 1 {
		t.Fatalf("ip printed %q: %v", out, err)
	}
	n.bytes = links[0].Stats.RX.Bytes + links[0].Stats.TX.Bytes
	out = s.lab.must(s.lab.command(s.host, "nft", "list", "counter", "inet", "count", "probes"))
	_, after, _ := strings.Cut(out, "packets ")
	if _, err := fmt.Sscan(after, &n.probes); err != nil {
		t.Fatalf("nft printed %q: %v", out, err)
	}
	return n
}
