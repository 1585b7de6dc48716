package hostnet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// settleFor is how long a row of messages may take that one change causes.
const settleFor = 100 * time.Millisecond

// Watch listens to rtnetlink(7), and to a timer that the kernel cancels when the
// clock is set, which it does after a sleep too (timerfd_create(2)).
func (portable) Watch(ctx context.Context, changed func(Change)) error {
	// Both files are made before anything else, in the caller's network.
	events, err := linkEvents()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWatch, err)
	}
	before := readNetState()
	clock, err := clockEvents()
	if err != nil {
		events.Close()
		return fmt.Errorf("%w: %w", ErrWatch, err)
	}
	stop := context.AfterFunc(ctx, func() {
		events.Close()
		clock.Close()
	})
	defer stop()
	var mu sync.Mutex // one call at a time
	tell := func(c Change) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() == nil {
			changed(c)
		}
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { watchClock(clock, func() { tell(Woke) }) })
	watchLinks(events, before, func() { tell(Moved) })
	return nil
}

// linkEvents opens a socket on which the kernel tells of links, addresses and
// routes.
func linkEvents() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	groups := unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: uint32(groups)}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// watchLinks calls moved after each change that matters, until the file is
// closed.
func watchLinks(events *os.File, before netState, moved func()) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := events.Read(buffer)
		if errors.Is(err, os.ErrClosed) || errors.Is(err, io.EOF) {
			return
		}
		// ENOBUFS is that there were too many to keep: look.
		gone := before.lost(buffer[:max(n, 0)])
		// What follows from one change comes at once, or nearly so.
		for deadline := time.Now().Add(settleFor); events.SetReadDeadline(deadline) == nil; {
			n, err := events.Read(buffer)
			if errors.Is(err, os.ErrClosed) {
				return
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			gone = gone || before.lost(buffer[:max(n, 0)])
		}
		_ = events.SetReadDeadline(time.Time{}) // fails once the file is closed, which Read tells
		now := readNetState()
		if gone || !now.equal(before) {
			moved()
		}
		before = now
	}
}

// netState is what of a host's network matters to its connections.
type netState struct {
	up     map[int]bool // links that have such an address, by number: is the cable in
	addrs  []string     // with the link's number
	routes []string     // the default ones
}

func (s netState) equal(o netState) bool {
	if len(s.up) != len(o.up) || !slices.Equal(s.addrs, o.addrs) || !slices.Equal(s.routes, o.routes) {
		return false
	}
	for i, up := range s.up {
		if was, has := o.up[i]; !has || was != up {
			return false
		}
	}
	return true
}

// readNetState asks the kernel. What can't be read is missing.
func readNetState() netState {
	s := netState{up: make(map[int]bool)}
	links, err := net.Interfaces()
	if err != nil {
		return s
	}
	for _, link := range links {
		addrs, err := link.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil && matters(prefix.Addr()) {
				s.up[link.Index] = link.Flags&net.FlagRunning != 0
				s.addrs = append(s.addrs, fmt.Sprint(link.Index, " ", prefix))
			}
		}
	}
	table, err := syscall.NetlinkRIB(unix.RTM_GETROUTE, unix.AF_UNSPEC)
	if err != nil {
		return s
	}
	messages, err := syscall.ParseNetlinkMessage(table)
	if err != nil {
		return s
	}
	for i := range messages {
		if text, ok := defaultRoute(&messages[i]); ok {
			s.routes = append(s.routes, text)
		}
	}
	slices.Sort(s.addrs)
	slices.Sort(s.routes)
	return s
}

// defaultRoute describes one by its gateway and link, leaving out how long it
// is good, which routers renew all the time.
func defaultRoute(m *syscall.NetlinkMessage) (text string, ok bool) {
	// struct rtmsg: family, destination and source lengths, tos, table, …
	if len(m.Data) < unix.SizeofRtMsg || m.Data[1] != 0 || m.Data[4] == unix.RT_TABLE_LOCAL || m.Data[7] != unix.RTN_UNICAST {
		return "", false
	}
	attributes, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return "", false
	}
	parts := []string{fmt.Sprint(m.Data[0])}
	for _, a := range attributes {
		switch a.Attr.Type {
		case unix.RTA_GATEWAY, unix.RTA_OIF, unix.RTA_MULTIPATH, unix.RTA_TABLE:
			parts = append(parts, fmt.Sprintf("%d=%x", a.Attr.Type, a.Value))
		}
	}
	return strings.Join(parts, " "), true
}

// lost says whether some messages tell of something that was there and went,
// be it back by now.
func (s netState) lost(b []byte) bool {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return true
	}
	for i := range messages {
		m := &messages[i]
		switch m.Header.Type {
		case unix.RTM_DELROUTE:
			if _, ok := defaultRoute(m); ok {
				return true
			}
		case unix.RTM_DELADDR:
			if _, has := s.up[linkOf(m)]; has && m.Data[3] == unix.RT_SCOPE_UNIVERSE {
				return true
			}
		case unix.RTM_NEWLINK:
			// struct ifinfomsg: family, padding, type, index, flags, change
			if s.up[linkOf(m)] && len(m.Data) >= unix.SizeofIfInfomsg && binary.NativeEndian.Uint32(m.Data[8:12])&unix.IFF_RUNNING == 0 {
				return true
			}
		}
	}
	return false
}

// linkOf reads the number of a link, which is at one place in struct ifinfomsg
// and struct ifaddrmsg; 0 is none.
func linkOf(m *syscall.NetlinkMessage) int {
	if len(m.Data) < 8 {
		return 0
	}
	return int(binary.NativeEndian.Uint32(m.Data[4:8]))
}

// clockEvents opens a timer that never fires.
func clockEvents() (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	never := unix.NsecToTimespec(math.MaxInt64) // the year 2262
	err = unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET,
		&unix.ItimerSpec{Value: never}, nil)
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("timerfd_settime", err)
	}
	return os.NewFile(uintptr(fd), "timerfd"), nil
}

// watchClock calls woke each time that the clock is set, until the file is
// closed.
func watchClock(clock *os.File, woke func()) {
	var expirations [8]byte
	for {
		_, err := clock.Read(expirations[:])
		if !errors.Is(err, unix.ECANCELED) {
			return // it is closed
		}
		woke() // the timer goes on
	}
}
