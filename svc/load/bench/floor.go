//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"earshot/protocol/hostnet"
	"earshot/svc/load"
)

// changeSize is about how long a change is on the wire, in bytes: one of the
// secure protocol's frames, or one of the classic protocol's datagrams.
var changeSize = map[string]int{"tcp": 120, "udp": 34}

// floor is the least that a server can do: it says where it is on its first
// line, takes a client in for each line "accept", and for each "write N" writes as many changes to
// each of them as it takes in one go, which are N with TCP and 64 datagrams with
// UDP.
func floor(arguments []string, in io.Reader, out io.Writer) error {
	if len(arguments) != 1 || changeSize[arguments[0]] == 0 {
		return fmt.Errorf("%w: a floor is of tcp or of udp, not %q", load.ErrLoad, arguments)
	}
	size := changeSize[arguments[0]]
	d, err := newDoor(arguments[0])
	if err != nil {
		return err
	}
	defer d.Close()
	fmt.Fprintln(out, d.at())
	lines := bufio.NewScanner(in)
	var conns []net.Conn
	for lines.Scan() {
		if lines.Text() == "accept" {
			conn, err := d.accept()
			if err != nil {
				return err
			}
			conns = append(conns, conn)
		} else {
			var n int
			if _, err := fmt.Sscanf(lines.Text(), "write %d", &n); err != nil {
				return err
			}
			b := make([]byte, n*size)
			for _, conn := range conns {
				if err := d.write(conn, b, size); err != nil {
					return err
				}
			}
		}
		fmt.Fprintln(out, "done")
	}
	return lines.Err()
}

// door is how clients come in: by a connection, or by a datagram that is
// answered from a socket of the client's own.
type door struct {
	io.Closer
	at     func() net.Addr
	accept func() (net.Conn, error)
	write  func(conn net.Conn, b []byte, size int) error
}

func newDoor(network string) (door, error) {
	if network == "tcp" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return door{}, err
		}
		return door{l, l.Addr, l.Accept, func(conn net.Conn, b []byte, _ int) error {
			_, err := conn.Write(b)
			return err
		}}, nil
	}
	p, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return door{}, err
	}
	return door{p, p.LocalAddr, func() (net.Conn, error) {
		_, from, err := p.ReadFrom(make([]byte, 1))
		if err != nil {
			return nil, err
		}
		return net.Dial("udp4", from.String())
	}, writeSegments}, nil
}

// writeSegments writes datagrams of a size.
func writeSegments(conn net.Conn, b []byte, size int) error {
	for len(b) > 0 {
		n := min(len(b), hostnet.MaxSegments*size)
		if err := hostnet.WriteSegments(conn, b[:n], size); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// knock goes through a door.
func knock(network, at string) (net.Conn, error) {
	if network == "tcp" {
		return net.Dial("tcp", at)
	}
	to, err := netip.ParseAddrPort(at)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(to.Addr(), 0)))
	if err != nil {
		return nil, err
	}
	_, err = conn.WriteToUDPAddrPort([]byte{1}, to)
	return conn, err
}

// floorClients are those at the other end.
type floorClients struct {
	read  []atomic.Int64 // bytes, of each
	at    []atomic.Int64 // when, Unix time in ns
	left  atomic.Int64   // that have not read all yet
	whole chan struct{}
	until atomic.Int64
}

func (c *floorClients) follow(i int, conn net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		before := c.read[i].Load()
		c.at[i].Store(time.Now().UnixNano())
		c.read[i].Store(before + int64(n))
		if until := c.until.Load(); before < until && before+int64(n) >= until && c.left.Add(-1) == 0 {
			c.whole <- struct{}{}
		}
	}
}

// measureFloor measures the floor with n clients, for one change a write and for
// as many as a storm has.
func (s server) measureFloor(ctx context.Context, n int, p plan, note func(result)) error {
	path, err := s.path()
	if err != nil {
		return err
	}
	f, err := load.StartTalking(s.processors, path, "floor", s.floor)
	if err != nil {
		return err
	}
	defer f.Kill()
	at, err := f.Line()
	if err != nil {
		return err
	}
	c := &floorClients{read: make([]atomic.Int64, n), at: make([]atomic.Int64, n), whole: make(chan struct{}, 1)}
	var conns []net.Conn
	var following sync.WaitGroup
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
		following.Wait()
	}()
	for i := range n {
		if err := f.Say("accept"); err != nil {
			return err
		}
		conn, err := knock(s.floor, at)
		if err != nil {
			return err
		}
		conns = append(conns, conn)
		following.Go(func() { c.follow(i, conn) })
		if _, err := f.Line(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	for _, changes := range []int{1, storm} {
		if err := c.rounds(ctx, f, s, p, changes, note); err != nil {
			return err
		}
	}
	return nil
}

// rounds has the floor write some changes to everybody, time and again.
func (c *floorClients) rounds(ctx context.Context, f *load.Talking, s server, p plan, changes int, note func(result)) error {
	n := len(c.read)
	out := result{Server: s.name, Clients: n, Scenario: "newcomer", Delivered: n * changes * p.rounds}
	if changes > 1 {
		out.Scenario = "session storm"
	}
	rounds := float64(p.rounds)
	for range p.rounds {
		c.left.Store(int64(n))
		c.until.Add(int64(changes * changeSize[s.floor]))
		before, began := f.CPU(), time.Now()
		if err := f.Say("write %d", changes); err != nil {
			return err
		}
		select {
		case <-c.whole:
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := f.Line(); err != nil {
			return err
		}
		out.CPU += ms(f.CPU()-before) / rounds
		times := make([]int64, n)
		for i := range n {
			times[i] = c.at[i].Load()
		}
		slices.Sort(times)
		since := func(i int) float64 { return ms(time.Unix(0, times[i]).Sub(began)) / rounds }
		out.P50, out.P99, out.Wall = out.P50+since(n/2), out.P99+since(n*99/100), out.Wall+since(n-1)
	}
	out.Each = 1000 * out.CPU / float64(n*changes)
	note(out)
	return nil
}
