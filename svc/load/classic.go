package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"earshot/protocol/classic"
)

// Classic is a crowd of the classic protocol, whose clients speak UTF-8.
type Classic struct {
	to      netip.AddrPort
	clients []*classicClient
	running sync.WaitGroup
	mirrors

	listing sync.Mutex // guards the list that was read last, and its fingerprint
	list    bits
	listed  uint64
}

var _ Crowd = (*Classic)(nil)

// classicClient belongs to whoever logs it in and out. Its two goroutines,
// which end before the next login, are told of by channels.
type classicClient struct {
	crowd  *Classic
	index  int
	socket *net.UDPConn
	place  []byte // IP:port of the socket
	accept chan uint16
	ended  chan struct{} // closed when the socket is read no longer
	conn   net.Conn      // of the list; nil before it is asked for
	listed chan struct{} // closed when the list has been read, or never will be
	mirror *mirror
}

// NewClassic connects nobody.
func NewClassic(to netip.AddrPort, n int) *Classic {
	c := &Classic{to: to, mirrors: newMirrors()}
	for i := range n {
		c.clients = append(c.clients, &classicClient{crowd: c, index: i})
	}
	return c
}

// To has the crowd log in elsewhere from now on.
func (s *Classic) To(to netip.AddrPort) { s.to = to }

// listTime is how long a client waits for its list.
const listTime = 30 * time.Second

// repeatTime is after how long without an answer a login is sent again.
const repeatTime = time.Second

// Login implements Crowd.
func (s *Classic) Login(ctx context.Context, client int) error {
	c := s.clients[client]
	if err := c.login(ctx); err != nil {
		return fmt.Errorf("%w: %s was not logged in: %w", ErrLoad, name(client), err)
	}
	return nil
}

func (c *classicClient) login(ctx context.Context) error {
	socket, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(source(c.index), 0)))
	if err != nil {
		return err
	}
	// A person's computer hears one coordinator; here one machine hears it a
	// thousand times.
	_ = socket.SetReadBuffer(4 << 20)
	c.socket, c.accept, c.ended, c.mirror = socket, make(chan uint16, 1), make(chan struct{}), new(mirror)
	c.conn, c.listed = nil, make(chan struct{})
	c.place = []byte(socket.LocalAddr().String())
	c.crowd.running.Go(c.follow)
	for {
		login := fmt.Appendf(nil, "login,%s,%s", name(c.index), c.place)
		if _, err := socket.WriteToUDPAddrPort(login, c.crowd.to); err != nil {
			return err
		}
		repeat := time.NewTimer(repeatTime)
		select {
		case port := <-c.accept:
			repeat.Stop()
			return c.fetch(ctx, port)
		case <-ctx.Done():
			repeat.Stop()
			return errors.New("its login is not answered")
		case <-repeat.C:
		}
	}
}

// fetch connects for the list, which comes when the coordinator likes.
func (c *classicClient) fetch(ctx context.Context, port uint16) error {
	conn, err := dial(ctx, c.index, netip.AddrPortFrom(c.crowd.to.Addr(), port))
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(listTime))
	c.conn = conn
	c.crowd.enter(c.index, c.mirror)
	c.crowd.running.Go(func() {
		defer close(c.listed)
		defer conn.Close()
		_ = c.list(conn) // who has read no list doesn't know who is online, and that is looked at
	})
	return nil
}

// list reads who is online. What follows comes once the connection is closed.
func (c *classicClient) list(conn net.Conn) error {
	var text []byte
	buf := make([]byte, 32<<10)
	for !bytes.HasSuffix(text, []byte(";end")) {
		n, err := conn.Read(buf)
		text = append(text, buf[:n]...)
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			return fmt.Errorf("the list broke off after %d bytes: %w", len(text), err)
		}
	}
	c.mirror.begin(c.crowd.parsed(text))
	return nil
}

// parsed is who stands on a list. Of a thousand clients that are told at once
// all read the same one.
func (s *Classic) parsed(text []byte) bits {
	sum := maphash.Bytes(seed, text)
	s.listing.Lock()
	defer s.listing.Unlock()
	if s.listed == sum {
		return s.list.clone()
	}
	s.listed, s.list = sum, bits{}
	for line := range bytes.SplitSeq(text, []byte(";")) {
		if who, ok := clientIn(line); ok { // the end is nobody
			s.list.set(who, true)
		}
	}
	return s.list.clone()
}

// tell notes what follows a verb.
func (c *classicClient) tell(line []byte, online bool) {
	if other, ok := clientIn(line); ok {
		c.mirror.set(other, online)
	}
}

// clientIn reads a line of a list or what follows a verb: NAME,IP:port.
func clientIn(line []byte) (int, bool) {
	who, _, _ := bytes.Cut(line, []byte(","))
	return clientOf(who)
}

// follow reads datagrams until the socket is closed.
func (c *classicClient) follow() {
	defer close(c.ended)
	buf := make([]byte, 2<<10)
	for {
		n, _, err := c.socket.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		verb, rest, _ := bytes.Cut(buf[:max(n, 0)], []byte(","))
		switch string(verb) {
		case "login":
			c.tell(rest, true)
		case "logout":
			c.tell(rest, false)
		case "Accept":
			m, err := classic.Parse(string(buf[:n]))
			if accept, ok := m.(classic.Accept); ok && err == nil {
				select {
				case c.accept <- accept.Port:
				default: // the answer to a repeat
				}
			}
		}
	}
}

// Logout implements Crowd. Who ends the program has seen the list before.
func (s *Classic) Logout(client int) error {
	c := s.clients[client]
	<-c.listed
	_, err := c.socket.WriteToUDPAddrPort(fmt.Appendf(nil, "logout,%s,%s", name(client), c.place), s.to)
	return errors.Join(err, s.Crash(client))
}

// Crash implements Crowd.
func (s *Classic) Crash(client int) error {
	c := s.clients[client]
	s.leave(client)
	err := c.socket.Close()
	<-c.ended
	if c.conn != nil {
		c.conn.Close() // it has done that itself if the list has been read
		<-c.listed
	}
	return err
}

// Close implements Crowd.
func (s *Classic) Close() {
	for i, c := range s.clients {
		if c.socket != nil {
			_ = s.Crash(i)
		}
	}
	s.running.Wait()
}
