//go:build !windows

package localapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Listen opens a profile's socket for the account alone. The caller holds the
// profile's lock, so that a socket that is there already belongs to a process
// that was killed, and is replaced.
func Listen(socket string) (net.Listener, error) {
	dir := filepath.Dir(socket)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("localapi: %w", err)
	}
	if err := own(dir); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(socket); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("localapi: %s is in the way and is not a socket", socket)
		}
		if err := os.Remove(socket); err != nil {
			return nil, fmt.Errorf("localapi: %w", err)
		}
	}
	listener, err := (&net.ListenConfig{Control: private}).Listen(context.Background(), "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("localapi: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, fmt.Errorf("localapi: %w", errors.Join(err, listener.Close()))
	}
	return listener, nil
}

// private gives the socket its mode before it has a name, where the system can
// do that (Linux); elsewhere Listen's chmod has to do.
func private(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
}

// own makes sure that nobody else could have put something into dir, or could
// replace what we put there.
func own(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("localapi: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Getuid() || info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("localapi: %s belongs to, or may be changed by, somebody else", dir)
	}
	return nil
}

func dial(ctx context.Context, socket string) (net.Conn, error) {
	// A client must not tell its secrets to somebody else's socket either.
	if info, err := os.Lstat(socket); err != nil {
		return nil, err
	} else if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Getuid() {
		return nil, fmt.Errorf("localapi: %s belongs to somebody else", socket)
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", socket)
}
