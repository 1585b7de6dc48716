package classictest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"earshot/protocol/hostnet"
)

// Server is a classic .NET coordinator that knows the specification and
// nothing else: it speaks UTF-16LE, never forgets a client that does not log
// out, and takes a repeated login for another user.
type Server struct {
	program
	at       netip.AddrPort
	address  netip.AddrPort
	listener net.Listener
}

// NewServer returns a server that will receive datagrams at at, which must name
// an address of its host; port 0 is any free port.
func NewServer(network hostnet.Net, at netip.AddrPort) *Server {
	return &Server{program: program{net: network, dialect: DotNet, from: at.Addr(), changed: make(chan struct{})}, at: at}
}

// Start opens the server's sockets and starts its threads, which end with
// Close.
func (s *Server) Start(ctx context.Context) error {
	listener, err := s.net.Listen(ctx, netip.AddrPortFrom(s.at.Addr(), 0))
	if err != nil {
		return err
	}
	socket, err := s.net.ListenPacket(ctx, s.at)
	if err != nil {
		listener.Close()
		return err
	}
	s.listener, s.socket, s.address = listener, socket, hostnet.AddrPort(socket.LocalAddr())
	s.threads.Go(func() { s.receive(s.handle) })
	s.threads.Go(s.serveLists)
	return nil
}

// Address returns where clients send their logins; it is valid after Start.
func (s *Server) Address() netip.AddrPort { return s.address }

// Close ends the server, as abruptly as a crash.
func (s *Server) Close() {
	s.listener.Close()
	s.socket.Close()
	s.threads.Wait()
}

func (s *Server) handle(e Event, datagram []byte) error {
	ctx := context.Background() // sending never blocks
	switch e.Verb {
	case "login":
		user, err := parseUser(e.Fields[1:])
		if err != nil {
			return err
		}
		s.change(func() { s.users = append(s.users, user) })
		port := int(hostnet.AddrPort(s.listener.Addr()).Port())
		if err := s.Send(ctx, user.Endpoint, "Accept,"+strconv.Itoa(port)); err != nil {
			return fmt.Errorf("%w: %w", ErrDied, err)
		}
		return s.forward(ctx, datagram, user.Name)
	case "logout":
		if _, err := parseUser(e.Fields[1:]); err != nil {
			return err
		}
		s.remove(e.Fields[1])
		return s.forward(ctx, datagram, e.Fields[1])
	case "qunliao":
		return s.forward(ctx, datagram, "")
	}
	return nil
}

// forward sends a datagram to everyone but one.
func (s *Server) forward(ctx context.Context, datagram []byte, except string) error {
	for _, u := range s.List() {
		if u.Name == except {
			continue
		}
		if err := s.SendRaw(ctx, u.Endpoint, datagram); err != nil {
			return fmt.Errorf("%w: %w", ErrDied, err)
		}
	}
	return nil
}

// serveLists is the thread that serves whoever connects.
func (s *Server) serveLists() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write(appendDotNetString(nil, formatList(s.List())))
		conn.Close()
	}
}
