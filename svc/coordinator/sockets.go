package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"earshot/protocol/hostnet"
)

// sockets are the coordinator's.
type sockets struct {
	packet net.PacketConn
	// second and third are for STUN: the next port, and one that nobody is told.
	second, third     net.PacketConn
	main, raw, dotNet net.Listener
	web               net.Listener // nil for none
}

// openSockets opens all of them, or none. For port 0 it looks for three
// adjacent free ports.
func openSockets(ctx context.Context, network hostnet.Net, listen netip.AddrPort, stun bool) (*sockets, error) {
	const attempts = 50
	for attempt := 1; ; attempt++ {
		s, err := openSocketsAt(ctx, network, listen, stun)
		if err == nil || listen.Port() != 0 || attempt == attempts || !errors.Is(err, ErrPortTaken) {
			return s, err
		}
	}
}

func openSocketsAt(ctx context.Context, network hostnet.Net, listen netip.AddrPort, stun bool) (_ *sockets, err error) {
	s := new(sockets)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.packet, err = network.ListenPacket(ctx, listen); err != nil {
		return nil, explain(err, listen, "UDP")
	}
	first := hostnet.AddrPort(s.packet.LocalAddr()).Port()
	if first > 65533 {
		return nil, fmt.Errorf("%w: the system chose port %d, which leaves no room for the list ports", ErrPortTaken, first)
	}
	for i, l := range []*net.Listener{&s.main, &s.raw, &s.dotNet} {
		at := netip.AddrPortFrom(listen.Addr(), first+uint16(i))
		opened, err := network.Listen(ctx, at)
		if err != nil {
			return nil, explain(err, at, "TCP")
		}
		*l = opened
	}
	if stun {
		at := netip.AddrPortFrom(listen.Addr(), first+1)
		if s.second, err = network.ListenPacket(ctx, at); err != nil {
			return nil, explain(err, at, "UDP")
		}
		if s.third, err = network.ListenPacket(ctx, netip.AddrPortFrom(listen.Addr(), 0)); err != nil {
			return nil, explain(err, netip.AddrPortFrom(listen.Addr(), 0), "UDP")
		}
	}
	return s, nil
}

// explain says why a port can't be opened, and what to do.
func explain(err error, at netip.AddrPort, protocol string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: another program has %s port %d of %s. End it, or choose another port (--listen); "+
			"the coordinator needs the port that you choose and the two behind it (%w)",
			ErrPortTaken, protocol, at.Port(), at.Addr(), err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: %s is not an address of this machine. Choose one that is, or 0.0.0.0 for all (%w)",
			ErrConfig, at.Addr(), err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: this account may not open %s port %d of %s. Choose a port above 1023 (%w)",
			ErrConfig, protocol, at.Port(), at.Addr(), err)
	}
	return fmt.Errorf("opening %s port %d of %s: %w", protocol, at.Port(), at.Addr(), err)
}

func (s *sockets) addrs() Addrs {
	a := Addrs{
		UDP:        hostnet.AddrPort(s.packet.LocalAddr()),
		TCP:        hostnet.AddrPort(s.main.Addr()),
		RawList:    hostnet.AddrPort(s.raw.Addr()),
		DotNetList: hostnet.AddrPort(s.dotNet.Addr()),
	}
	if s.web != nil {
		a.Web = hostnet.AddrPort(s.web.Addr())
	}
	return a
}

// close closes what is open. Closing what Run has closed already does no harm.
func (s *sockets) close() {
	for _, c := range []net.PacketConn{s.packet, s.second, s.third} {
		if c != nil {
			c.Close()
		}
	}
	for _, l := range []net.Listener{s.main, s.raw, s.dotNet, s.web} {
		if l != nil {
			l.Close()
		}
	}
}
