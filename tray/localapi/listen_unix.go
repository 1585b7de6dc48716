//go:build !windows

package localapi

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"earshot/protocol/hostnet"
)

// Listen opens a profile's socket for the account alone. The caller holds the
// profile's lock.
func Listen(socket string) (net.Listener, error) {
	dir := filepath.Dir(socket)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("localapi: %w", err)
	}
	if err := own(dir); err != nil {
		return nil, err
	}
	listener, err := hostnet.ListenPrivate(socket)
	if err != nil {
		return nil, fmt.Errorf("localapi: %w", err)
	}
	return listener, nil
}

// own makes sure that nobody else could have put something into dir, or could
// replace what we put there.
func own(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("localapi: %w", err)
	}
	if owner, ok := hostnet.Owner(info); !ok || int(owner) != os.Getuid() || info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("localapi: %s belongs to, or may be changed by, somebody else", dir)
	}
	return nil
}

// dial connects to the account's own socket: a client must not tell its secrets
// to somebody else's.
func dial(ctx context.Context, socket string) (net.Conn, error) {
	return hostnet.DialPrivate(ctx, socket, uint32(os.Getuid()))
}
