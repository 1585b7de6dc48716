package classictest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"earshot/protocol/hostnet"
)

// Client is a classic client. Once Listen or Login has returned, its methods may
// be called from any goroutine.
type Client struct {
	program
	name        string
	coordinator netip.AddrPort
	hold        bool
	listenAt    netip.AddrPort
	endpoint    netip.AddrPort // set by Listen, as are running and stop
	running     context.Context
	stop        context.CancelFunc

	lists  int        // read so far
	conns  []net.Conn // open list connections
	closed bool
}

// Option changes how a Client behaves.
type Option func(*Client)

// HoldConnection makes a client keep its list connection open, as some that
// read raw text do.
func HoldConnection() Option { return func(c *Client) { c.hold = true } }

// ListenAt makes a client listen at a certain endpoint.
func ListenAt(endpoint netip.AddrPort) Option { return func(c *Client) { c.listenAt = endpoint } }

// NewClient returns a client that has not logged in. It must be ended with
// Logout or Crash.
func NewClient(network hostnet.Net, name string, dialect Dialect, coordinator netip.AddrPort, options ...Option) *Client {
	c := &Client{
		program:     program{net: network, dialect: dialect, changed: make(chan struct{})},
		name:        name,
		coordinator: coordinator,
	}
	for _, o := range options {
		o(c)
	}
	return c
}

// Name returns the client's name.
func (c *Client) Name() string { return c.name }

// Endpoint returns where the client listens; it is valid once Login was called.
func (c *Client) Endpoint() netip.AddrPort { return c.endpoint }

// Listen opens the client's listener and starts its receiving thread. Login
// does it if it is not done.
func (c *Client) Listen(ctx context.Context) error {
	if c.socket != nil {
		return nil
	}
	at := c.listenAt
	if !at.IsValid() {
		// The address by which this host reaches the coordinator; nothing is sent.
		route, err := c.net.DialPacket(ctx, c.coordinator)
		if err != nil {
			return err
		}
		at = netip.AddrPortFrom(hostnet.AddrPort(route.LocalAddr()).Addr(), 0)
		route.Close()
	}
	socket, err := c.net.ListenPacket(ctx, at)
	if err != nil {
		return err
	}
	c.socket, c.from = socket, at.Addr()
	c.running, c.stop = context.WithCancel(context.Background())
	c.endpoint = netip.AddrPortFrom(at.Addr(), hostnet.AddrPort(socket.LocalAddr()).Port())
	c.threads.Go(func() { c.receive(c.handle) })
	return nil
}

// Login sends the login, once, and returns when the list has been read. A
// second Login is a repeat of it.
func (c *Client) Login(ctx context.Context) error {
	if err := c.Listen(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	before := c.lists
	c.mu.Unlock()
	if err := c.SendLogin(ctx); err != nil {
		return err
	}
	return c.await(ctx, func() bool { return c.lists > before })
}

// SendLogin sends the login and waits for nothing. Listen must have been
// called.
func (c *Client) SendLogin(ctx context.Context) error {
	return c.Send(ctx, c.coordinator, "login,"+c.name+","+c.endpoint.String())
}

func (c *Client) handle(e Event, _ []byte) error {
	switch e.Verb {
	case "Accept":
		port, err := strconv.ParseUint(e.Fields[1], 10, 16)
		if err != nil {
			return fmt.Errorf("%w: %v: %w", ErrDied, e, err)
		}
		c.threads.Go(func() { c.fetch(netip.AddrPortFrom(e.From.Addr(), uint16(port))) })
	case "login":
		user, err := parseUser(e.Fields[1:])
		if err != nil {
			return err
		}
		c.change(func() { c.users = append(c.users, user) })
	case "logout":
		if _, err := parseUser(e.Fields[1:]); err != nil {
			return err
		}
		c.remove(e.Fields[1])
	}
	return nil
}

// fetch reads the list from the coordinator.
func (c *Client) fetch(from netip.AddrPort) {
	ctx, cancel := context.WithTimeout(c.running, 30*time.Second)
	defer cancel()
	conn, err := c.net.Dial(ctx, from)
	if err != nil {
		if c.own(nil) {
			c.die(fmt.Errorf("%w: %w", ErrDied, err))
		}
		return
	}
	defer conn.Close()
	if !c.own(conn) {
		return
	}
	users, err := c.dialect.readList(conn)
	if err != nil {
		if c.own(nil) {
			c.die(err)
		}
		return
	}
	c.change(func() { c.users, c.lists = users, c.lists+1 })
	if !c.hold {
		return
	}
	_, _ = io.Copy(io.Discard, conn) // nothing follows; it ends with the connection
	c.change(func() { c.events = append(c.events, Event{Verb: "closed", Fields: []string{"closed"}, From: from}) })
}

// own registers a connection to be closed with the client, and says whether
// the client is still open.
func (c *Client) own(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed && conn != nil {
		c.conns = append(c.conns, conn)
	}
	return !c.closed
}

// Talk sends text to the person whose name is on the list.
func (c *Client) Talk(ctx context.Context, to, text string) error {
	users := c.List()
	i := slices.IndexFunc(users, func(u User) bool { return u.Name == to })
	if i < 0 {
		return fmt.Errorf("%s has no window for %q", c.name, to)
	}
	return c.Send(ctx, users[i].Endpoint, "talk,"+time.Now().Format(time.TimeOnly)+","+c.name+","+text)
}

// GroupTalk sends text to everyone, through the coordinator.
func (c *Client) GroupTalk(ctx context.Context, text string) error {
	return c.Send(ctx, c.coordinator, "qunliao,"+time.Now().Format(time.TimeOnly)+","+c.name+","+text)
}

// Logout tells the coordinator and ends the client.
func (c *Client) Logout(ctx context.Context) error {
	err := c.Send(ctx, c.coordinator, "logout,"+c.name+","+c.endpoint.String())
	c.Crash()
	return err
}

// Crash ends the client without a word: its sockets are closed, its threads
// have ended when it returns. It may be called again.
func (c *Client) Crash() {
	c.mu.Lock()
	c.closed = true
	conns := c.conns
	c.conns = nil
	c.mu.Unlock()
	if c.socket != nil {
		c.stop()
		c.socket.Close()
	}
	for _, conn := range conns {
		conn.Close()
	}
	c.threads.Wait()
}
