package classic

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"earshot/protocol/hostnet"
)

// probeSlots is how many parts of the users are probed one after the other, so
// that the probes of a thousand don't leave at once.
const probeSlots = 20

// watch probes users and ends what has lasted too long. While there is nobody it
// sleeps, and a login wakes it.
func (s *Server) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.somebody:
		}
		s.watchUsers(ctx)
	}
}

// watchUsers is watch until there is nobody, or ctx ends.
func (s *Server) watchUsers(ctx context.Context) {
	tick := time.NewTicker(probeEvery / probeSlots)
	defer tick.Stop()
	var probed []*user
	for slot := uint64(0); s.hasUsers(); slot = (slot + 1) % probeSlots {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		s.expire(now)
		probed = s.due(probed[:0], slot, now)
		for _, u := range probed {
			s.send(u, u.alive)
		}
		clear(probed)
	}
}

// hasUsers says whether anybody is online, logs in, or reads a list.
func (s *Server) hasUsers() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.online) > 0 || len(s.logins) > 0 || len(s.fetches) > 0
}

// due appends the users to probe to dst, and ends the stay of those who have
// been silent for too long.
func (s *Server) due(dst []*user, slot uint64, now time.Time) []*user {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.online) - 1; i >= 0; i-- { // leave moves the last one here
		u := s.online[i]
		switch {
		case u.id%probeSlots != slot:
		case u.echoes && now.Sub(u.heard) >= silentTime:
			s.leave(u, "silent")
		default:
			dst = append(dst, u)
		}
	}
	return dst
}

// expire drops logins and lists that nobody came for.
func (s *Server) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.logins {
		if !now.Before(l.expires) {
			s.drop(l)
		}
	}
	for at, f := range s.fetches {
		if f.reading == 0 && !now.Before(f.expires) || now.Sub(f.expires) >= listTime {
			s.letGo(at, f)
		}
	}
}

// send writes a datagram to a user, and draws the conclusion if that fails. mu
// is not held.
func (s *Server) send(u *user, datagram []byte) {
	if err := s.write(u.peer, datagram); err != nil {
		s.failed(u, err, time.Now())
	}
}

// write writes a datagram to a client. An error is mostly about an earlier one:
// the answer to it (ICMP) came meanwhile, and this one did not leave.
func (s *Server) write(p *peer, datagram []byte) error {
	return s.writeAll(p, datagram, len(datagram))
}

// writeAll is write for datagrams of one size, the last of which may be shorter.
func (s *Server) writeAll(p *peer, datagrams []byte, size int) error {
	err := hostnet.WriteSegments(p.conn, datagrams, size)
	switch {
	case err == nil:
		s.metrics.sent.Add(float64((len(datagrams) + size - 1) / size))
	case errors.Is(err, net.ErrClosed):
		return nil // has left meanwhile
	case errors.Is(err, syscall.ECONNREFUSED):
		s.metrics.sendErrors.WithLabelValues("port closed").Inc()
	case unreachable(err):
		s.metrics.sendErrors.WithLabelValues("unreachable").Inc()
	default:
		s.metrics.sendErrors.WithLabelValues("other").Inc()
	}
	return err
}

func unreachable(err error) bool {
	return errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// failed ends the stay of a user whose port is closed, or whose host has been
// out of reach for long.
func (s *Server) failed(u *user, err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
	case errors.Is(err, syscall.ECONNREFUSED):
		s.leave(u, "port closed")
	case unreachable(err):
		if u.unreachable.IsZero() || now.Sub(u.failedLast) >= reachableAgain {
			u.unreachable = now
		}
		u.failedLast = now
		if now.Sub(u.unreachable) >= unreachableTime {
			s.leave(u, "unreachable")
		}
	}
}
