// Package load is crowds of clients: of the coordinator, in both protocols, and
// of other presence servers that do the same work. A crowd checks what each of
// its members knows. Nothing here is part of a product; svc/load/bench measures
// with it.
package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"earshot/protocol/hostnet"
)

// Crowd is a number of clients of one server, which are told apart by an index
// from 0. Its methods may be called from any goroutine, but those about one
// client from one at a time.
type Crowd interface {
	// Login logs a client in and returns when the server has taken it. The
	// client follows the roster from then on.
	Login(ctx context.Context, client int) error
	// Logout logs a client out as a person who ends the program does.
	Logout(client int) error
	// Crash ends a client's connection without a word.
	Crash(client int) error
	// Settled waits until everybody who is online knows exactly who is. It
	// returns when each of them came to know, the first one first.
	Settled(ctx context.Context) ([]Known, error)
	// Close crashes everybody.
	Close()
}

// Known is when a client came to know what it knows.
type Known struct {
	Client int
	At     time.Time
}

// inTime sorts by time.
func inTime(all []Known) []Known {
	slices.SortFunc(all, func(a, b Known) int { return a.At.Compare(b.At) })
	return all
}

// Statuses is a crowd whose clients have a status that the others see.
type Statuses interface {
	// SetStatus changes a client's status and does not wait.
	SetStatus(client int, text string) error
}

var (
	// ErrLoad is the family of what goes wrong with a crowd.
	ErrLoad = errors.New("load")
	// ErrStale is somebody who does not know who is online.
	ErrStale = fmt.Errorf("%w: stale", ErrLoad)
)

// source is the loopback address from which a client connects. Twenty share
// one, so that a server's limits for one address are met as an office meets them.
func source(client int) netip.Addr {
	n := client/20 + 1
	return netip.AddrFrom4([4]byte{127, byte(1 + n>>16), byte(n >> 8), byte(n)})
}

// dial connects from a client's own address.
func dial(ctx context.Context, client int, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source(client), 0))}
	c, err := d.DialContext(ctx, "tcp", to.String())
	if err == nil {
		_ = hostnet.Guard(c, time.Minute) // as a client has it
	}
	return c, err
}

// name is what a client is called, everywhere.
func name(client int) string { return fmt.Sprintf("u%d", client) }

// clientOf is name's inverse.
func clientOf(name []byte) (int, bool) {
	if len(name) < 2 || name[0] != 'u' || len(name) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range name[1:] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// pollTime is how often a crowd that is not settled is looked at. It bounds no
// figure: when each member came to know is noted by the member.
const pollTime = 5 * time.Millisecond

// await calls settled until it is nil. If it never is, its last word is the
// error.
func await(ctx context.Context, settled func() error) error {
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for {
		err := settled()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// mirror is who is online by what one client was told. One goroutine writes it;
// whoever compares it holds the mutex.
type mirror struct {
	mu    sync.Mutex
	there bits
	at    atomic.Int64 // of the last change, Unix time in ns
}

// set notes that somebody came or went.
func (m *mirror) set(client int, online bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.there.set(client, online)
	m.at.Store(time.Now().UnixNano())
}

// begin notes a whole list.
func (m *mirror) begin(there bits) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.there = there
	m.at.Store(time.Now().UnixNano())
}

// is says whether the mirror shows exactly those.
func (m *mirror) is(online bits) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.there.equal(online)
}

// bits is a set of clients.
type bits struct {
	words []uint64
	count int
}

func (b *bits) set(client int, in bool) {
	for client/64 >= len(b.words) {
		b.words = append(b.words, 0)
	}
	word, bit := &b.words[client/64], uint64(1)<<(client%64)
	switch was := *word&bit != 0; {
	case in && !was:
		*word |= bit
		b.count++
	case !in && was:
		*word &^= bit
		b.count--
	}
}

func (b *bits) clone() bits { return bits{slices.Clone(b.words), b.count} }

func (b *bits) equal(other bits) bool {
	if b.count != other.count {
		return false
	}
	n := min(len(b.words), len(other.words)) // with the same count, what is beyond is empty if this is equal
	return slices.Equal(b.words[:n], other.words[:n])
}

// mirrors is a crowd's part of checking members that have a mirror each.
type mirrors struct {
	mu     sync.Mutex
	online bits
	of     map[int]*mirror
}

func newMirrors() mirrors { return mirrors{of: make(map[int]*mirror)} }

// enter has a client follow with a mirror.
func (m *mirrors) enter(client int, to *mirror) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of[client] = to
	m.online.set(client, true)
}

// leave takes a client out of those who are to know, and be known.
func (m *mirrors) leave(client int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.of, client)
	m.online.set(client, false)
}

// Settled implements Crowd.
func (m *mirrors) Settled(ctx context.Context) ([]Known, error) {
	err := await(ctx, func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		stale, example := 0, -1
		for client, it := range m.of {
			if !it.is(m.online) {
				stale++
				example = client
			}
		}
		if stale > 0 {
			it := m.of[example]
			it.mu.Lock()
			defer it.mu.Unlock()
			return fmt.Errorf("%w: %d of %d don't know who is online; %s knows %d people, and there are %d",
				ErrStale, stale, len(m.of), name(example), it.there.count, m.online.count)
		}
		return nil
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Known, 0, len(m.of))
	for client, it := range m.of {
		all = append(all, Known{client, time.Unix(0, it.at.Load())})
	}
	return inTime(all), err
}
