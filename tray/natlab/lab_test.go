//go:build linux

package natlab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"earshot/tray/natlab/delay"
)

// lab is a public network with a network on either side, in namespaces of its
// own, so that several labs may stand side by side.
type lab struct {
	t      testing.TB
	prefix string
	pub    string
	a, b   *side
}

// side is one of the two networks.
type side struct {
	lab    *lab
	kind   kind
	letter string
	// host is the namespace of the client, edge that of the router next to the
	// public network; they are the same where there is no NAT.
	host, edge string
	net        int    // the third number of its addresses
	device     string // the host's network device
	address    string // the host's IPv4 address
	address6   string // and the IPv6 one
	wire       *delay.Wire
	// rebound and readdressed count what has happened to its NAT.
	rebound, readdressed int
}

// All addresses are of networks that reach nobody from here, for the
// namespaces have no way out. They can't be of those for documentation: a
// router that opens ports at a client's wish knows these, and refuses.
const (
	server4, other4 = "11.0.0.1", "11.0.0.2"
	server6, other6 = "2a11:0:0::1", "2a11:0:0::2"
	serverName      = "coordinator.test"
	// Both networks have the same addresses inside, as homes have.
	inside = "192.168.1"
	shared = "100.64.10" // between two NATs
)

func (s *side) public4(host int) string { return fmt.Sprintf("11.0.%d.%d", s.net, host) }
func (s *side) public6(host int) string { return fmt.Sprintf("2a11:0:%d::%d", s.net, host) }
func (s *side) inside6(host int) string { return fmt.Sprintf("2a11:0:1%d::%d", s.net, host) }

// options are what a lab is made of besides the kinds.
type options struct {
	// quality is that of the wire on either side; the zero value is a wire
	// without latency.
	quality delay.Quality
	// together puts b's host into a's network.
	together bool
}

var labs atomic.Int64

// newLab builds a lab, which is removed when the test ends.
func newLab(t testing.TB, a, b kind, o options) *lab {
	t.Helper()
	l := &lab{t: t, prefix: fmt.Sprintf("natlab-%d-%d-", os.Getpid(), labs.Add(1))}
	t.Cleanup(l.remove)
	l.pub = l.namespace("pub")
	l.ip(l.pub,
		"addr add "+server4+"/32 dev lo", "addr add "+other4+"/32 dev lo",
		"addr add "+server6+"/128 dev lo nodad", "addr add "+other6+"/128 dev lo nodad")
	l.a = l.build("a", 10, a, o)
	if o.together {
		l.b = l.join("b", l.a)
	} else {
		l.b = l.build("b", 20, b, o)
	}
	for _, s := range []*side{l.a, l.b} {
		l.nft(s.host, probeCounter)
	}
	return l
}

// remove ends everything in the lab and the lab itself.
func (l *lab) remove() {
	for _, s := range []*side{l.a, l.b} {
		if s != nil && s.wire != nil {
			s.wire.Close()
		}
	}
	removeNamespaces(l.prefix)
}

// sweep removes what runs of this test left that were killed.
func sweep() {
	found, _ := filepath.Glob("/run/netns/natlab-*-*-*")
	for _, file := range found {
		parts := strings.Split(filepath.Base(file), "-")
		if pid, err := strconv.Atoi(parts[1]); err == nil && syscall.Kill(pid, 0) != nil {
			removeNamespaces(filepath.Base(file))
		}
	}
}

// namespace makes one.
func (l *lab) namespace(name string) string {
	l.t.Helper()
	name = l.prefix + name
	l.must(exec.Command("ip", "netns", "add", name))
	// `ip netns exec` shows what is in there as /etc.
	if err := os.MkdirAll(etc(name), 0o755); err != nil {
		l.t.Fatal(err)
	}
	hosts := fmt.Sprintf("127.0.0.1 localhost\n%s %s\n%s %s\n", server4, serverName, server6, serverName)
	if err := os.WriteFile(filepath.Join(etc(name), "hosts"), []byte(hosts), 0o644); err != nil {
		l.t.Fatal(err)
	}
	l.ip(name, "link set lo up")
	// Nobody else has our addresses, so nobody need look for duplicates.
	l.must(l.command(name, "sh", "-c", `cd /proc/sys/net && echo 1 >ipv4/ip_forward && echo 1 >ipv6/conf/all/forwarding &&
		echo 0 >ipv6/conf/all/accept_dad && echo 0 >ipv6/conf/default/accept_dad`))
	return name
}

// command is a program in a namespace. It ends with the test's process.
func (l *lab) command(namespace, program string, args ...string) *exec.Cmd {
	cmd := exec.Command("ip", append([]string{"netns", "exec", namespace, program}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// ip runs commands of ip in a namespace.
func (l *lab) ip(namespace string, commands ...string) {
	l.t.Helper()
	cmd := exec.Command("ip", "-n", namespace, "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	l.must(cmd)
}

// nft runs a script of nft in a namespace.
func (l *lab) nft(namespace, script string) {
	l.t.Helper()
	cmd := l.command(namespace, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	l.must(cmd)
}

func (l *lab) must(cmd *exec.Cmd) string {
	l.t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		l.t.Fatalf("%s: %v: %s%s", strings.Join(cmd.Args, " "), err, out.Bytes(), errOut.Bytes())
	}
	return out.String()
}

// build makes the network on one side.
func (l *lab) build(letter string, net int, k kind, o options) *side {
	l.t.Helper()
	s := &side{lab: l, kind: k, letter: letter, net: net}
	s.host = l.namespace("host-" + letter)
	if k.nat == noNAT && !k.ipv6 {
		s.edge, s.device, s.address = s.host, "wan", s.public4(10)
		l.uplink(s, o.quality)
		return s
	}
	s.edge, s.device, s.address = l.namespace("edge-"+letter), "lan", inside+"."+strconv.Itoa(net)
	l.uplink(s, o.quality)
	router := s.edge
	if k.double {
		router = l.namespace("inner-" + letter)
		l.veth(router, "wan", s.edge, "lan")
		l.ip(router, "addr add "+shared+".2/24 dev wan", "link set wan up", "route add default via "+shared+".1")
		l.ip(s.edge, "addr add "+shared+".1/24 dev lan", "link set lan up")
	}
	l.ip(router, "link add lan type bridge", "link set lan up")
	l.attach(s.host, letter, router, s)
	if k.ipv4() {
		l.ip(router, "addr add "+inside+".1/24 dev lan")
		if k.double {
			l.nft(router, easy.rules(s))
		}
		l.nft(s.edge, k.rules(s))
	}
	if k.ipv6 {
		l.ip(router, "addr add "+s.inside6(1)+"/64 dev lan nodad")
		l.nft(s.edge, firewall6)
	}
	if k.upnp {
		l.startUPnP(s)
	}
	return s
}

// join puts another host into the network of a side.
func (l *lab) join(letter string, with *side) *side {
	l.t.Helper()
	s := *with
	s.letter, s.host, s.address, s.wire = letter, l.namespace("host-"+letter), inside+".20", nil
	router := s.edge
	if s.kind.double {
		router = l.prefix + "inner-" + with.letter
	}
	l.attach(s.host, letter, router, &s)
	return &s
}

// attach connects a host with its router's bridge.
func (l *lab) attach(host, letter, router string, s *side) {
	l.t.Helper()
	l.veth(host, "lan", router, "host-"+letter)
	l.ip(router, "link set host-"+letter+" master lan", "link set host-"+letter+" up")
	l.ip(host, "link set lan up")
	if s.kind.ipv4() {
		l.ip(host, "addr add "+s.address+"/24 dev lan", "route add default via "+inside+".1")
	}
	if s.kind.ipv6 {
		s.address6 = s.inside6(2 + int(letter[0]-'a'))
		l.ip(host, "addr add "+s.address6+"/64 dev lan nodad", "route add default via "+s.inside6(1))
	}
}

// uplink connects a side's edge with the public network.
func (l *lab) uplink(s *side, q delay.Quality) {
	l.t.Helper()
	p := "p" + s.letter
	if q == (delay.Quality{}) {
		l.veth(s.edge, "wan", l.pub, p)
	} else {
		wire, err := delay.Open(delay.End{Namespace: s.edge, Device: "wan"}, delay.End{Namespace: l.pub, Device: p}, q)
		if err != nil {
			l.t.Fatal(err)
		}
		s.wire = wire
	}
	l.ip(l.pub, "link set "+p+" up")
	l.ip(s.edge, "link set wan up")
	if s.kind.ipv4() {
		// The coordinator has one address, from wherever it answers.
		l.ip(l.pub, "addr add "+s.public4(1)+"/24 dev "+p,
			fmt.Sprintf("route replace %s/24 dev %s src %s", s.public4(0), p, server4))
		l.ip(s.edge, "addr add "+s.public4(10)+"/24 dev wan", "addr add "+s.public4(11)+"/24 dev wan",
			"route add default via "+s.public4(1))
	}
	if s.kind.ipv6 {
		l.ip(l.pub, "addr add "+s.public6(1)+"/64 dev "+p+" nodad",
			fmt.Sprintf("route add %s/64 via %s src %s", s.inside6(0), s.public6(10), server6))
		l.ip(s.edge, "addr add "+s.public6(10)+"/64 dev wan nodad", "route add default via "+s.public6(1))
	}
}

func (l *lab) veth(a, deviceA, b, deviceB string) {
	l.t.Helper()
	l.ip(a, fmt.Sprintf("link add %s type veth peer name %s netns %s", deviceA, deviceB, b))
}
