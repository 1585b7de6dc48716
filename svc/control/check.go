package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
)

// ErrStuck is a server that takes no connections, or does nothing for those that
// it has.
var ErrStuck = errors.New("the secure port does not answer")

// Check connects to a server as its clients do and returns nil if that is taken
// care of before ctx ends, else ErrStuck with its cause. A server that refuses
// the connection, as one does that has too many, is well: nobody is helped by
// its end.
func Check(ctx context.Context, network hostnet.Net, at netip.AddrPort) error {
	raw, err := network.Dial(ctx, at)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStuck, err)
	}
	defer raw.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = raw.SetDeadline(deadline)
	}
	config := identity.ClientTLS(checkCertificate, identity.ALPNCheck, nil)
	conn := tls.Client(raw, config)
	if _, err = conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrStuck, err)
	}
	return nil
}

// checkCertificate is nobody's: a check logs nobody in.
var checkCertificate = identity.NewKey().Certificate()

// lookAtOneself returns once everything has been had that a login needs.
func (s *Server) lookAtOneself(conn *tls.Conn) {
	s.mu.Lock()
	_ = s.cfg.Roster.Len()
	_, _ = s.cfg.Accounts.OwnerOf(identity.PublicKey{})
	s.mu.Unlock()
	_ = conn.CloseWrite()
	_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1))
}
