package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"earshot/tray/chat"
)

const inputs = 10_000

// Ten thousand random and mutated datagrams against the running programs:
// neither crashes, leaks a goroutine, or believes any of it about another user.
func TestMutatedDatagrams(t *testing.T) {
	c := startCoordinator(t)
	ann := startClient(t, c, "Ann", "utf-16le")
	bo := startClient(t, c, "Bo", "utf-8")
	ann.waitOnline(t, bo.name, true)
	bo.waitOnline(t, ann.name, true)
	before, goroutines := people(ann.roster(t)), c.goroutines(t)

	listeners := map[string]netip.AddrPort{
		"coordinator": c.addr, "client": netip.MustParseAddrPort(address(t, bo, ann.name)),
	}
	for what, to := range listeners {
		// 127.0.0.2 is another host as far as the programs can tell.
		dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		conn, err := dialer.Dial("udp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, uint64(to.Port())))
		for range inputs {
			// A full socket buffer drops what it can't take, as it would any flood.
			if _, err := conn.Write(badDatagram(random, bo.name, c.addr)); err != nil && !strings.Contains(err.Error(), "refused") {
				t.Fatalf("%s: %v", what, err)
			}
		}
		conn.Close()
	}
	// Still there, still right, and still talking.
	bo.must(t, "send", ann.name, "after the storm")
	ann.waitMessage(t, bo.name, "after the storm")
	ann.must(t, "send", bo.name, "and back")
	bo.waitMessage(t, ann.name, "and back")
	if after := people(ann.roster(t)); !slices.Equal(before, after) {
		t.Errorf("Ann's roster was %v and is %v", before, after)
	}
	eventually(t, "the coordinator has as many goroutines as before", func() bool { return c.goroutines(t) <= goroutines })
}

// The same for its three TCP ports: garbage, silence, and half a request.
func TestMutatedTCP(t *testing.T) {
	c := startCoordinator(t)
	ann := startClient(t, c, "Ann", "utf-16le")
	bo := startClient(t, c, "Bo", "gb18030")
	ann.waitOnline(t, bo.name, true)
	before, goroutines := people(ann.roster(t)), c.goroutines(t)
	random := rand.New(rand.NewPCG(2, 2))
	for i := range inputs / 10 {
		to := netip.AddrPortFrom(c.addr.Addr(), c.addr.Port()+uint16(i%3))
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%200))}}
		conn, err := dialer.Dial("tcp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if _, err := conn.Write(badDatagram(random, bo.name, c.addr)); err != nil {
				break // the coordinator may well have hung up
			}
		}
		conn.Close()
	}
	if after := people(ann.roster(t)); !slices.Equal(before, after) {
		t.Errorf("Ann's roster was %v and is %v", before, after)
	}
	cho := startClient(t, c, "Cho", "utf-8")
	ann.waitOnline(t, cho.name, true)
	cho.term(t)
	ann.waitOnline(t, cho.name, false)
	eventually(t, "the coordinator has as many goroutines as before", func() bool { return c.goroutines(t) <= goroutines })
}

// badDatagram is noise, or a message that has something wrong with it.
func badDatagram(r *rand.Rand, victim string, coordinator netip.AddrPort) []byte {
	messages := []string{
		"login," + victim + ",127.0.0.2:9", "logout," + victim + ",127.0.0.1:9", "login,evil;name,127.0.0.2:9",
		"login," + strings.Repeat("x", 200) + ",127.0.0.2:9", "login,a,b,127.0.0.2:9", "login", "logout,", ",,,,,",
		"Accept,99999", fmt.Sprintf("Accept,%d", coordinator.Port()+1), "Refused,go away", "talk,1", "talk,,,",
		"qunliao,12:00," + victim + ",forged", "alive," + victim + ",127.0.0.1:9", "why," + victim + ",127.0.0.2:9",
		"speaks," + victim + ",utf-16le", "login,\x00\x01,127.0.0.2:9", "login,波,[::1]:9", "end", ";end",
	}
	text := messages[r.IntN(len(messages))]
	var b []byte
	if r.IntN(2) == 0 {
		for _, u := range utf16.Encode([]rune(text)) {
			b = append(b, byte(u), byte(u>>8))
		}
	} else {
		b = []byte(text)
	}
	switch r.IntN(4) {
	case 0: // as it is
	case 1: // some bytes changed
		for range 1 + r.IntN(4) {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
	case 2: // cut short
		b = b[:r.IntN(len(b)+1)]
	default: // noise
		b = make([]byte, r.IntN(1500))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
	return b
}

// people returns who is online and where.
func people(roster []chat.Person) []string {
	var list []string
	for _, p := range roster {
		if p.Online {
			list = append(list, p.Name+" "+p.Address)
		}
	}
	slices.Sort(list)
	return list
}

// address is where somebody listens, as k knows it.
func address(t *testing.T, k *client, other string) string {
	t.Helper()
	for _, p := range k.roster(t) {
		if p.Name == other {
			return p.Address
		}
	}
	t.Fatalf("%s is not on the roster", other)
	return ""
}

// goroutines reads their number from the coordinator's own metrics.
func (c *coordinator) goroutines(t *testing.T) int {
	t.Helper()
	return c.metric(t, "go_goroutines")
}

func (c *coordinator) metric(t *testing.T, name string) int {
	t.Helper()
	response, err := http.Get("http://" + c.metrics.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
