package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// IRC is a crowd of an IRC server (RFC 2812), all in one channel, which tells
// everybody who came and who left: the same work as a coordinator's.
type IRC struct {
	to      netip.AddrPort
	secure  bool // by TLS
	clients []*ircClient
	running sync.WaitGroup
	mirrors
}

var _ Crowd = (*IRC)(nil)

type ircClient struct {
	crowd    *IRC
	index    int
	sessions tls.ClientSessionCache
	conn     net.Conn
	ended    chan struct{}
	mirror   *mirror
}

// NewIRC connects nobody.
func NewIRC(to netip.AddrPort, n int) *IRC {
	s := &IRC{to: to, mirrors: newMirrors()}
	for i := range n {
		s.clients = append(s.clients, &ircClient{crowd: s, index: i, sessions: tls.NewLRUClientSessionCache(1)})
	}
	return s
}

// NewSecureIRC is NewIRC for a server that speaks TLS on that port.
func NewSecureIRC(to netip.AddrPort, n int) *IRC {
	s := NewIRC(to, n)
	s.secure = true
	return s
}

// dial connects a client, by ticket if the server has given one.
func (c *ircClient) dial(ctx context.Context) (net.Conn, error) {
	raw, err := dial(ctx, c.index, c.crowd.to)
	if err != nil || !c.crowd.secure {
		return raw, err
	}
	conn := tls.Client(raw, &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: "irc.example.net", ClientSessionCache: c.sessions,
		InsecureSkipVerify: true, // it is our own, started a moment ago
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// Login implements Crowd.
func (s *IRC) Login(ctx context.Context, client int) error {
	c := s.clients[client]
	conn, err := c.dial(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLoad, err)
	}
	c.conn, c.ended, c.mirror = conn, make(chan struct{}), new(mirror)
	if _, err := fmt.Fprintf(conn, "NICK %s\r\nUSER %s 0 * :load\r\n", name(client), name(client)); err != nil {
		return fmt.Errorf("%w: %w", ErrLoad, err)
	}
	joined := make(chan struct{})
	s.running.Go(func() { c.follow(joined) })
	select {
	case <-joined:
		s.enter(client, c.mirror)
		return nil
	case <-c.ended:
		err = errors.New("the server closed the connection")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return fmt.Errorf("%w: %s was not logged in: %w", ErrLoad, name(client), err)
}

// follow reads lines until the connection ends. It closes joined once the
// channel's names have been read.
func (c *ircClient) follow(joined chan<- struct{}) {
	defer close(c.ended)
	in := bufio.NewReaderSize(c.conn, 4<<10)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		line = bytes.TrimRight(line, "\r\n")
		if token, ok := bytes.CutPrefix(line, []byte("PING ")); ok {
			_, _ = fmt.Fprintf(c.conn, "PONG %s\r\n", token)
			continue
		}
		prefix, rest, _ := bytes.Cut(bytes.TrimPrefix(line, []byte(":")), []byte(" "))
		verb, rest, _ := bytes.Cut(rest, []byte(" "))
		switch string(verb) {
		case "433": // ERR_NICKNAMEINUSE: an earlier connection is not over yet
			_, _ = fmt.Fprintf(c.conn, "NICK %s\r\n", name(c.index))
		case "001": // RPL_WELCOME
			_, _ = c.conn.Write([]byte("JOIN #all\r\n"))
		case "353": // RPL_NAMREPLY
			_, names, _ := bytes.Cut(rest, []byte(":"))
			for nick := range bytes.FieldsSeq(names) {
				c.tell(bytes.TrimLeft(nick, "@+%&~"), true)
			}
		case "366": // RPL_ENDOFNAMES
			close(joined)
		case "JOIN":
			c.tell(nickOf(prefix), true)
		case "QUIT":
			c.tell(nickOf(prefix), false)
		}
	}
}

func nickOf(prefix []byte) []byte {
	nick, _, _ := bytes.Cut(prefix, []byte("!"))
	return nick
}

func (c *ircClient) tell(nick []byte, online bool) {
	if other, ok := clientOf(nick); ok {
		c.mirror.set(other, online)
	}
}

// Logout implements Crowd.
func (s *IRC) Logout(client int) error {
	c := s.clients[client]
	s.leave(client)
	_, err := c.conn.Write([]byte("QUIT :bye\r\n"))
	<-c.ended // the server closes
	return errors.Join(err, c.conn.Close())
}

// Crash implements Crowd.
func (s *IRC) Crash(client int) error {
	c := s.clients[client]
	s.leave(client)
	err := c.conn.Close()
	<-c.ended
	return err
}

// Close implements Crowd.
func (s *IRC) Close() {
	for i, c := range s.clients {
		if c.conn != nil {
			_ = s.Crash(i)
		}
	}
	s.running.Wait()
}
