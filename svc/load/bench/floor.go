//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"earshot/svc/load"
)

// changeSize is about how long a change is on the wire, in bytes.
const changeSize = 120

// floor is the least that a server can do: it accepts connections, says where
// on its first line, and for each line "N" writes as many changes to each of
// them in one write(2).
func floor(in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Fprintln(out, l.Addr())
	lines := bufio.NewScanner(in)
	var conns []net.Conn
	for lines.Scan() {
		var n int
		switch {
		case scan(lines.Text(), "accept %d", &n):
			for range n {
				conn, err := l.Accept()
				if err != nil {
					return err
				}
				conns = append(conns, conn)
			}
		case scan(lines.Text(), "write %d", &n):
			b := make([]byte, n*changeSize)
			for _, conn := range conns {
				if _, err := conn.Write(b); err != nil {
					return err
				}
			}
		}
		fmt.Fprintln(out, "done")
	}
	return lines.Err()
}

func scan(line, format string, to ...any) bool {
	n, err := fmt.Sscanf(line, format, to...)
	return err == nil && n == len(to)
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
	f, err := load.StartTalking(s.processors, path, "floor")
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
	if err := f.Say("accept %d", n); err != nil {
		return err
	}
	for i := range n {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			return err
		}
		conns = append(conns, conn)
		following.Go(func() { c.follow(i, conn) })
	}
	if _, err := f.Line(); err != nil {
		return err
	}
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
		c.until.Add(int64(changes * changeSize))
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
