package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"earshot/p2p"
	"earshot/p2p/control"
	"earshot/p2p/nat"
	"earshot/p2p/trunk"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/tray/chat"
)

// aloneWithin bounds a look without a client.
const aloneWithin = 12 * time.Second

// Alone looks at the ways to a coordinator without logging in: so nobody is
// tried, and the coordinator isn't asked to prove who it is. resolve may be nil.
func Alone(ctx context.Context, on hostnet.Net, host string, port uint16, resolve func(context.Context, string) ([]netip.Addr, error)) chat.Diagnosis {
	ctx, cancel := context.WithTimeout(ctx, aloneWithin)
	defer cancel()
	d := chat.Diagnosis{At: time.Now(), Server: net.JoinHostPort(host, strconv.Itoa(int(port)))}
	if resolve == nil {
		resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	var addrs []netip.Addr
	name := check("name", func() (err error) {
		addrs, err = resolve(ctx, host)
		return err
	})
	var tcp, web, udp chat.Check
	var looks sync.WaitGroup
	client, err := control.New(control.Config{
		Net: on, Host: host, Port: port, Resolve: resolve, Key: identity.NewKey(),
		Verify: func(tls.ConnectionState) error { return nil },
		Hello:  func(netip.Addr) *wire.Hello { return nil },
	})
	try := func(way trunk.Way) error {
		if err != nil {
			return err
		}
		return client.Try(ctx, way)
	}
	looks.Go(func() { tcp = check("tcp", func() error { return try(trunk.TCP) }) })
	looks.Go(func() { web = check("web", func() error { return try(trunk.Web) }) })
	looks.Go(func() {
		udp = check("udp", func() error {
			report, err := ask(ctx, on, addrs, port)
			if err != nil {
				return err
			}
			d.NAT, d.Firewall = report.Kind.String(), report.Filtering.String()
			if report.Kind == nat.Blocked {
				return errors.New("no datagram came back")
			}
			for _, at := range []netip.AddrPort{report.V4, report.V6} {
				if at.IsValid() {
					d.Addresses = append(d.Addresses, chat.Address{Kind: "reflexive", At: at.Addr().String()})
				}
			}
			return nil
		})
	})
	looks.Wait()
	if tcp.OK || web.OK {
		d.Protocol = chat.ProtocolSecure
	}
	d.Checks = []chat.Check{name, tcp, udp, web}
	return d
}

// ask asks the coordinator's two ports (PROTOCOL.md, section 18) through a socket
// of its own.
func ask(ctx context.Context, on hostnet.Net, addrs []netip.Addr, port uint16) (nat.Report, error) {
	if len(addrs) == 0 {
		return nat.Report{}, p2p.ErrNotConnected
	}
	conn, err := on.ListenPacket(ctx, netip.AddrPortFrom(netip.IPv6Unspecified(), 0))
	if err != nil { // a system without IPv6
		if conn, err = on.ListenPacket(ctx, netip.AddrPortFrom(netip.IPv4Unspecified(), 0)); err != nil {
			return nat.Report{}, err
		}
	}
	var servers []netip.AddrPort
	for _, a := range addrs {
		servers = append(servers, netip.AddrPortFrom(a.Unmap(), port), netip.AddrPortFrom(a.Unmap(), port+1))
	}
	own := hostnet.AddrPort(conn.LocalAddr()).Port()
	asker := nat.New(nat.Config{
		Write:   func(b []byte, to netip.AddrPort, ttl int) error { return hostnet.WriteTTL(conn, b, to, ttl) },
		Servers: func() []netip.AddrPort { return servers },
		Token:   func() string { return "" },
		Local: func() (local []netip.AddrPort) {
			all, _ := on.Addrs() // without them a NAT is taken for granted
			for _, a := range append(all, netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()) {
				local = append(local, netip.AddrPortFrom(a, own))
			}
			return local
		},
	})
	var reading sync.WaitGroup
	reading.Go(func() {
		for buf := make([]byte, 2048); ; {
			n, from, err := conn.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				asker.Packet(buf[:n], hostnet.AddrPort(from))
			}
		}
	})
	defer reading.Wait()
	defer conn.Close()
	return asker.Ask(ctx, true)
}

func check(what string, try func() error) chat.Check {
	begun := time.Now()
	err := try()
	c := chat.Check{What: what, OK: err == nil, Milliseconds: time.Since(begun).Milliseconds()}
	if err != nil {
		c.Why = err.Error()
	}
	return c
}
