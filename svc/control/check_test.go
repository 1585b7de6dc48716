package control

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"earshot/protocol/hostnet"
)

// A server that takes care of its connections is well, one that has too many,
// too; one whose lock nobody gets, or whose port nobody listens at, is not.
func TestCheck(t *testing.T) {
	s := serve(t, hostnet.OS, loopback)
	check := func(limit time.Duration, at netip.AddrPort) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		return Check(ctx, hostnet.OS, at)
	}
	if err := check(20*time.Second, s.addr); err != nil {
		t.Errorf("a server that is well: %v", err)
	}
	s.server.mu.Lock()
	err := check(300*time.Millisecond, s.addr)
	s.server.mu.Unlock()
	if !errors.Is(err, ErrStuck) {
		t.Errorf("a server that is stuck: %v", err)
	}
	full := serve(t, hostnet.OS, loopback, func(c *Config) { c.Limits.MaxConnections = 1 })
	ann := full.login("Ann") // which takes the only place
	defer ann.close()
	if err := check(20*time.Second, full.addr); err != nil {
		t.Errorf("a server that is full: %v", err)
	}
	if n := s.roster.Len() + full.roster.Len(); n != 1 {
		t.Errorf("%d people are online", n)
	}
	l, err := hostnet.OS.Listen(t.Context(), loopback)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := check(20*time.Second, hostnet.AddrPort(l.Addr())); !errors.Is(err, ErrStuck) {
		t.Errorf("nobody: %v", err)
	}
}
