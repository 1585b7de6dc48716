package hostnet

import (
	"container/heap"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Sim is a network of hosts in memory that behaves as a LAN does, with faults
// to order, and with routers (NAT) behind which there are further networks. It
// starts no goroutines and blocks only on condition variables and timers, so it
// runs in a testing/synctest bubble, in fake time.
//
// What is left to chance (ports, losses by share) is drawn from sources of its
// own for each router and line, with a seed that is always the same.
//
// One mutex guards the network, its hosts and routers and all their sockets.
type Sim struct {
	Network // the core, which every router leads to in the end
	mu      sync.Mutex
	hosts   map[*simHost]struct{} // in all networks
	seed    uint64
	events  eventHeap
	due     *time.Timer // fires for the first event; nil before there was any
	seq     uint64
}

// NewSim returns a network without hosts, losses or latency.
func NewSim() *Sim {
	s := &Sim{hosts: make(map[*simHost]struct{}), seed: 1}
	s.Network = Network{sim: s, nodes: make(map[netip.Addr]node)}
	return s
}

// Seed sets what chance depends on, for hosts and routers that are made from
// now on.
func (s *Sim) Seed(seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seed = seed
}

// after runs what with the mutex held, once d has passed; at once if d is not
// positive. Events of one instant run in the order of the calls. The mutex is
// held.
func (s *Sim) after(d time.Duration, what func()) {
	if d <= 0 {
		what()
		return
	}
	s.seq++
	heap.Push(&s.events, event{time.Now().Add(d), s.seq, what})
	if s.events[0].seq == s.seq {
		s.arm()
	}
}

// arm sets the one timer for the first event. The mutex is held.
func (s *Sim) arm() {
	left := time.Until(s.events[0].at)
	if s.due == nil {
		s.due = time.AfterFunc(left, s.run)
	} else {
		s.due.Reset(left)
	}
}

// run lets happen what is due.
func (s *Sim) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.events) > 0 && !s.events[0].at.After(time.Now()) {
		heap.Pop(&s.events).(event).what()
	}
	if len(s.events) > 0 {
		s.arm()
	}
}

type event struct {
	at   time.Time
	seq  uint64
	what func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = event{}
	*h = old[:len(old)-1]
	return e
}

// simHost is a host of a Sim, whose mutex guards it. A port is held by one
// socket of each protocol, whichever of the host's addresses it is bound to.
type simHost struct {
	attachment
	sim   *Sim
	addrs []netip.Addr
	dead  bool
	udp   map[uint16]*simPacketConn
	tcp   map[uint16]any // *simListener or a dialling *simConn
	conns map[*simConn]struct{}
	next  uint16
	watch map[chan Change]struct{} // each with room for one
}

// closeAll closes every socket as the end of its program does.
func (h *simHost) closeAll() {
	for _, c := range h.udp {
		c.shut()
	}
	for _, holder := range h.tcp {
		if l, ok := holder.(*simListener); ok {
			l.shut()
		}
	}
	for c := range h.conns {
		c.shut(true)
	}
}

// bind checks a local address and returns it with a port that is free
// according to taken.
func (h *simHost) bind(local netip.AddrPort, taken func(uint16) bool) (netip.AddrPort, error) {
	if h.dead {
		return local, os.NewSyscallError("bind", syscall.ENETDOWN)
	}
	addr, port := local.Addr().Unmap(), local.Port()
	if addr.IsValid() && !addr.IsUnspecified() && !h.has(addr) {
		return local, os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
	}
	if port != 0 {
		if taken(port) {
			return local, os.NewSyscallError("bind", syscall.EADDRINUSE)
		}
		return netip.AddrPortFrom(addr, port), nil
	}
	const first, count = 49152, 16384
	for range count {
		port := first + h.next%count
		h.next++
		if !taken(port) {
			return netip.AddrPortFrom(addr, port), nil
		}
	}
	return local, os.NewSyscallError("bind", syscall.EADDRINUSE)
}

func (h *simHost) has(addr netip.Addr) bool {
	return slices.Contains(h.addrs, addr)
}

// source returns the address from which the host speaks to another: one of the
// same family, and if it can be of the same scope (RFC 6724, rule 2).
func (h *simHost) source(to netip.Addr) (netip.Addr, error) {
	to = to.Unmap()
	best := netip.Addr{}
	for _, a := range h.addrs {
		if a.Is4() == to.Is4() && (!best.IsValid() || best.IsPrivate() != to.IsPrivate() && a.IsPrivate() == to.IsPrivate()) {
			best = a
		}
	}
	if !best.IsValid() {
		return best, os.NewSyscallError("connect", syscall.ENETUNREACH)
	}
	return best, nil
}

// opError wraps err as package net does.
func opError(op string, local, remote net.Addr, err error) error {
	network := "udp"
	for _, a := range []net.Addr{local, remote} {
		if a != nil {
			network = a.Network()
		}
	}
	return &net.OpError{Op: op, Net: network, Source: local, Addr: remote, Err: err}
}

// deadline is one of a socket's, guarded by the network's mutex.
type deadline struct {
	passed bool
	set    uint64 // counts calls of reset, so that a stopped timer that fired all the same is recognised
	timer  *time.Timer
}

// reset moves the deadline and has wake called, with the mutex held, when it
// passes.
func (d *deadline) reset(mu *sync.Mutex, t time.Time, wake func()) {
	d.stop()
	d.passed = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		wake()
		return
	}
	set := d.set
	d.timer = time.AfterFunc(left, func() {
		mu.Lock()
		defer mu.Unlock()
		if d.set == set {
			d.passed = true
			wake()
		}
	})
}

func (d *deadline) stop() {
	d.set++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
