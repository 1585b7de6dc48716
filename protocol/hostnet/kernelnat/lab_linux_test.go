package kernelnat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot/protocol/hostnet"

	"golang.org/x/sys/unix"
)

// kind is a router in both worlds.
type kind struct {
	cfg hostnet.NATConfig
	nft string // rules of chains "post" (source NAT), "pre", "in" and "through"
}

const (
	masquerade = "chain post { type nat hook postrouting priority 100; oif wan masquerade; }\n"
	dropInput  = "chain in { type filter hook input priority 0; iif wan ct state new drop; }\n"
	through    = "chain through { type filter hook forward priority 0; %s iif wan ct state established,related accept; iif wan ct status dnat accept; iif wan drop; }\n"
)

var kinds = map[string]kind{
	"easy": {hostnet.EasyNAT(), masquerade + dropInput + fmt.Sprintf(through, "")},
	"hard": {hostnet.HardNAT(), "chain post { type nat hook postrouting priority 100; oif wan masquerade fully-random; }\n" +
		dropInput + fmt.Sprintf(through, "")},
	"open-input": {hostnet.OpenInputNAT(), masquerade + fmt.Sprintf(through, "")},
	"blocked":    {hostnet.BlockedNAT(), masquerade + dropInput + fmt.Sprintf(through, "meta l4proto udp drop;")},
	"forwarding": {hostnet.EasyNAT(), "chain post { type nat hook postrouting priority 100; oif wan udp sport 5000 snat to PUBLIC:40000; oif wan masquerade; }\n" +
		"chain pre { type nat hook prerouting priority -100; iif wan udp dport 40000 dnat to HOST:5000; }\n" + dropInput + fmt.Sprintf(through, "")},
	"forgetful": {func() hostnet.NATConfig { cfg := hostnet.EasyNAT(); cfg.Timeout = time.Second; return cfg }(),
		masquerade + dropInput + fmt.Sprintf(through, "")},
}

// Addresses: la and la2 are neighbours behind na, lb is behind nb, and pub is the
// core, with an address towards each router.
var (
	na, nb   = netip.MustParseAddr("198.51.100.10"), netip.MustParseAddr("203.0.113.20")
	la, lb   = netip.MustParseAddr("192.168.10.2"), netip.MustParseAddr("192.168.20.2")
	la2      = netip.MustParseAddr("192.168.10.3")
	pub1     = netip.MustParseAddr("198.51.100.1")
	pub2     = netip.MustParseAddr("203.0.113.1")
	pub6     = netip.MustParseAddr("2001:db8:110::1")
	la6, lb6 = netip.MustParseAddr("2001:db8:10::2"), netip.MustParseAddr("2001:db8:20::2")
)

// lab is the network of one world.
type lab struct {
	*testing.T
	la, la2, lb, pub hostnet.Net
	patience         time.Duration // how long is waited for what shall not arrive
	cut              func()        // from now on router A loses everything
}

// inBoth plays a scene in both worlds.
func inBoth(t *testing.T, a, b string, scene func(l lab)) {
	t.Run(a+"-"+b+"/memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			sim := hostnet.NewSim()
			left, right := sim.NAT(na, kinds[a].cfg), sim.NAT(nb, kinds[b].cfg)
			if a == "forwarding" {
				left.Forward(40000, netip.AddrPortFrom(la, 5000))
			}
			scene(lab{t, left.Host(la, la6), left.Host(la2), right.Host(lb, lb6), sim.Host(pub1, pub2, pub6), 3 * time.Second,
				func() { sim.Down(na, true) }})
		})
	})
	t.Run(a+"-"+b+"/kernel", func(t *testing.T) {
		need(t, "ip", "nft", "sysctl")
		prefix := fmt.Sprintf("hn%d", os.Getpid())
		down := func() {
			for _, ns := range []string{"la", "na", "pub", "nb", "lb"} {
				_ = exec.Command("ip", "netns", "del", prefix+ns).Run() // it may not be there yet
			}
		}
		t.Cleanup(down)
		script := "set -e\n"
		for _, ns := range []string{"la", "na", "pub", "nb", "lb"} {
			script += "ip netns add NS" + ns + "\nip -n NS" + ns + " link set lo up\n" +
				"ip netns exec NS" + ns + " sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0\n"
		}
		script += "ip netns exec NSpub sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1\n" +
			side("a", kinds[a], "198.51.100", 10) + side("b", kinds[b], "203.0.113", 20) +
			"ip -n NSla addr add 192.168.10.3/24 dev eth0\n"
		script = strings.ReplaceAll(script, "NS", prefix)
		if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		inside := func(ns string) hostnet.Net { return &namespace{path: filepath.Join("/run/netns", prefix+ns)} }
		patience := 150 * time.Millisecond
		if a == "forgetful" {
			patience = 2500 * time.Millisecond
		}
		cut := func() {
			lose := exec.Command("ip", "netns", "exec", prefix+"na", "nft", "add table ip cut; add chain ip cut through { type filter hook forward priority -10; policy drop; }")
			if out, err := lose.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		l := lab{t, inside("la"), inside("la"), inside("lb"), inside("pub"), patience, cut}
		l.reach(pub1)
		scene(l)
	})
}

// reach returns once both hosts reach an address of the core: the kernel has
// lines up, and IPv6's neighbours found, some time after it was told. It is done
// over TCP, which every kind passes, and which leaves UDP's mappings alone.
func (l lab) reach(core netip.Addr) {
	l.Helper()
	listener, err := l.pub.Listen(l.Context(), netip.AddrPortFrom(core, 9))
	if err != nil {
		l.Fatal(err)
	}
	defer listener.Close()
	for _, n := range []hostnet.Net{l.la, l.lb} {
		for deadline := time.Now().Add(10 * time.Second); ; {
			ctx, cancel := context.WithTimeout(l.Context(), 50*time.Millisecond)
			c, err := n.Dial(ctx, hostnet.AddrPort(listener.Addr()))
			cancel()
			if err == nil {
				c.Close()
				break
			}
			if time.Now().After(deadline) || !hostnet.Pause(l.Context(), 5*time.Millisecond) {
				l.Fatalf("%v was never reached: %v", core, err)
			}
		}
	}
}

// side is the script that makes one router with its host.
func side(s string, k kind, net string, i int) string {
	seconds := int(k.cfg.Timeout / time.Second)
	timeout := ""
	if seconds > 0 {
		timeout = fmt.Sprintf("ip netns exec NSnS sysctl -qw net.netfilter.nf_conntrack_udp_timeout=%d net.netfilter.nf_conntrack_udp_timeout_stream=%d\n", seconds, seconds)
	}
	r := strings.NewReplacer("nS", "n"+s, "lS", "l"+s, "pS", "p"+s, "NET", net, "IDX", fmt.Sprint(i),
		"RULES", k.nft, "PUBLIC", fmt.Sprintf("%s.%d", net, i), "HOST", fmt.Sprintf("192.168.%d.2", i))
	return r.Replace(r.Replace(`
ip -n NSnS link add wan type veth peer name pS netns NSpub
ip -n NSpub addr add NET.1/24 dev pS
ip -n NSpub addr add 2001:db8:1IDX::1/64 dev pS nodad
ip -n NSpub link set pS up
ip -n NSpub route add 2001:db8:IDX::/64 via 2001:db8:1IDX::2
ip -n NSnS addr add NET.IDX/24 dev wan
ip -n NSnS addr add 2001:db8:1IDX::2/64 dev wan nodad
ip -n NSnS link set wan up
ip -n NSnS route add default via NET.1
ip -n NSnS route add default via 2001:db8:1IDX::1
ip -n NSnS link add lan type veth peer name eth0 netns NSlS
ip -n NSnS addr add 192.168.IDX.1/24 dev lan
ip -n NSnS addr add 2001:db8:IDX::1/64 dev lan nodad
ip -n NSnS link set lan up
ip -n NSlS addr add 192.168.IDX.2/24 dev eth0
ip -n NSlS addr add 2001:db8:IDX::2/64 dev eth0 nodad
ip -n NSlS link set eth0 up
ip -n NSlS route add default via 192.168.IDX.1
ip -n NSlS route add default via 2001:db8:IDX::1
ip netns exec NSnS sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip netns exec NSnS nft -f - <<'NFT'
table ip lab {
RULES
}
table ip6 lab {
chain through { type filter hook forward priority 0; iif wan ct state established,related accept; iif wan drop; }
}
NFT
` + timeout))
}

// namespace is the operating system's network in one of its namespaces.
type namespace struct{ path string }

// in runs open on a thread that is in the namespace, where the socket stays.
func in[T any](n *namespace, open func() (T, error)) (opened T, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and the thread ends with the goroutine
		var fd int
		if fd, err = unix.Open(n.path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		defer unix.Close(fd)
		if err = unix.Setns(fd, unix.CLONE_NEWNET); err == nil {
			opened, err = open()
		}
	}()
	<-done
	return opened, err
}

func (n *namespace) ListenPacket(ctx context.Context, local netip.AddrPort) (net.PacketConn, error) {
	return in(n, func() (net.PacketConn, error) { return hostnet.OS.ListenPacket(ctx, local) })
}

func (n *namespace) DialPacket(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	return in(n, func() (net.Conn, error) { return hostnet.OS.DialPacket(ctx, remote) })
}

func (n *namespace) DialPacketFrom(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	return in(n, func() (net.Conn, error) { return hostnet.OS.DialPacketFrom(ctx, local, remote) })
}

func (n *namespace) Listen(ctx context.Context, local netip.AddrPort) (net.Listener, error) {
	return in(n, func() (net.Listener, error) { return hostnet.OS.Listen(ctx, local) })
}

func (n *namespace) Dial(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	return in(n, func() (net.Conn, error) { return hostnet.OS.Dial(ctx, remote) })
}

func (n *namespace) Addrs() ([]netip.Addr, error) { return in(n, hostnet.OS.Addrs) }

func (n *namespace) Watch(ctx context.Context, changed func(hostnet.Change)) error {
	_, err := in(n, func() (struct{}, error) { return struct{}{}, hostnet.OS.Watch(ctx, changed) })
	return err
}

func (l lab) sock(n hostnet.Net, addr netip.Addr, port uint16) net.PacketConn {
	l.Helper()
	c, err := n.ListenPacket(l.Context(), netip.AddrPortFrom(addr, port))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { c.Close() })
	return c
}

// pair returns both ends of a TCP connection from A's host to the core.
func (l lab) pair() (near, far net.Conn) {
	l.Helper()
	listener, err := l.pub.Listen(l.Context(), netip.AddrPortFrom(pub1, 0))
	if err != nil {
		l.Fatal(err)
	}
	defer listener.Close()
	if near, err = l.la.Dial(l.Context(), hostnet.AddrPort(listener.Addr())); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { near.Close() })
	if far, err = listener.Accept(); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { far.Close() })
	return near, far
}

// say sends a datagram, with a limit if ttl is positive. A network that says at
// once that it can't be delivered is as good as one that doesn't.
func (l lab) say(c net.PacketConn, to netip.AddrPort, text string, ttl int) {
	l.Helper()
	if err := hostnet.WriteTTL(c, []byte(text), to, ttl); err != nil && !errors.Is(err, unix.EPERM) {
		l.Fatal(err)
	}
}

// heard wants text, or nothing, to arrive, and returns from where.
func (l lab) heard(c net.PacketConn, text string, want bool, what string) netip.AddrPort {
	l.Helper()
	wait := l.patience
	if want {
		wait = 3 * time.Second
	}
	if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		l.Fatal(err)
	}
	buf := make([]byte, 100)
	n, from, err := c.ReadFrom(buf)
	if (err == nil) != want || want && string(buf[:n]) != text {
		l.Errorf("%s: read %q from %v (%v), want that it arrives: %v", what, buf[:n], from, err, want)
	}
	if err != nil {
		return netip.AddrPort{}
	}
	return hostnet.AddrPort(from)
}

// seen sends to a socket and returns from where it came.
func (l lab) seen(c, at net.PacketConn) netip.AddrPort {
	l.Helper()
	l.say(c, hostnet.AddrPort(at.LocalAddr()), "who am I", 0)
	return l.heard(at, "who am I", true, "a packet outwards")
}
