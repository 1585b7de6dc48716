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
// to order. It starts no goroutines and blocks only on condition variables and
// timers, so it runs in a testing/synctest bubble, in fake time.
//
// One mutex guards the network, its hosts and all their sockets.
type Sim struct {
	mu      sync.Mutex
	hosts   map[netip.Addr]*simHost
	loss    func(from, to netip.AddrPort, b []byte) bool
	latency time.Duration
	events  eventHeap
	seq     uint64
}

// NewSim returns a network without hosts, losses or latency.
func NewSim() *Sim { return &Sim{hosts: make(map[netip.Addr]*simHost)} }

// Host puts a host with these addresses on the network and returns what its
// programs see of it. An address that is in use is returned as the host that
// has it, so that several programs share a host. There is no loopback: a host
// reaches itself at its own address.
func (s *Sim) Host(addr netip.Addr, more ...netip.Addr) Net {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.hosts[addr.Unmap()]; h != nil {
		return h
	}
	h := &simHost{sim: s, udp: make(map[uint16]*simPacketConn), tcp: make(map[uint16]any), conns: make(map[*simConn]struct{})}
	for _, a := range append([]netip.Addr{addr}, more...) {
		h.addrs = append(h.addrs, a.Unmap())
		s.hosts[a.Unmap()] = h
	}
	return h
}

// Loss has lost asked about every datagram; it is lost when that returns true.
// lost must not keep b. nil, the default, loses nothing.
func (s *Sim) Loss(lost func(from, to netip.AddrPort, b []byte) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loss = lost
}

// Latency sets how long everything takes from one host to another, one way.
// What is under way keeps its time.
func (s *Sim) Latency(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency = d
}

// Down takes the host's cable out: datagrams to and from it are lost, what is
// on its TCP connections waits. down=false puts it in again.
func (s *Sim) Down(addr netip.Addr, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hosts[addr.Unmap()]
	if h == nil || h.down == down {
		return
	}
	h.down = down
	for _, other := range s.hosts { // what waits may be for the peer of an end that is closed
		for c := range other.conns {
			c.in.release()
		}
	}
}

// Kill takes a host off the network for good, as a power cut does: its sockets
// are closed and nobody else is told. Host puts a new one in its place.
func (s *Sim) Kill(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hosts[addr.Unmap()]
	if h == nil {
		return
	}
	h.dead = true
	for _, a := range h.addrs {
		delete(s.hosts, a)
	}
	h.closeAll()
}

// Crash ends all programs of a host, as kill -9 does, while the host stays: its
// sockets are closed, its connections reset.
func (s *Sim) Crash(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.hosts[addr.Unmap()]; h != nil {
		h.closeAll()
	}
}

// CutTCP resets all TCP connections of a host, at both ends.
func (s *Sim) CutTCP(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hosts[addr.Unmap()]
	if h == nil {
		return
	}
	for c := range h.conns {
		c.fail(syscall.ECONNRESET)
		c.peer.fail(syscall.ECONNRESET)
	}
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
	time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for len(s.events) > 0 && !s.events[0].at.After(time.Now()) {
			heap.Pop(&s.events).(event).what()
		}
	})
}

// up returns the host at addr, if packets reach it. The mutex is held.
func (s *Sim) up(addr netip.Addr) *simHost {
	if h := s.hosts[addr.Unmap()]; h != nil && !h.down {
		return h
	}
	return nil
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
	sim   *Sim
	addrs []netip.Addr
	down  bool
	dead  bool
	udp   map[uint16]*simPacketConn
	tcp   map[uint16]any // *simListener or a dialling *simConn
	conns map[*simConn]struct{}
	next  uint16
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

// source returns the address from which the host speaks to another.
func (h *simHost) source(to netip.Addr) (netip.Addr, error) {
	for _, a := range h.addrs {
		if a.Is4() == to.Unmap().Is4() {
			return a, nil
		}
	}
	return netip.Addr{}, os.NewSyscallError("connect", syscall.ENETUNREACH)
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
