//go:build !windows

package admin

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

// longestSocket is what fits sun_path on every Unix that we run on.
const longestSocket = 103

// Listen opens the socket in a data directory for its owner alone. The caller
// holds the directory's lock, so that a socket that is there already belongs to
// a process that was killed, and is replaced.
func Listen(data string) (net.Listener, error) {
	socket := address(data)
	if len(socket) > longestSocket {
		return nil, fmt.Errorf("the path %s is too long for the administrator's socket; name a data directory with a shorter path", socket)
	}
	if info, err := os.Lstat(socket); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("%s is in the way of the administrator's socket; move it away", socket)
		}
		if err := os.Remove(socket); err != nil {
			return nil, fmt.Errorf("the administrator's socket: %w", err)
		}
	}
	listener, err := (&net.ListenConfig{Control: private}).Listen(context.Background(), "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("the administrator's socket: %w", err)
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, fmt.Errorf("the administrator's socket: %w", errors.Join(err, listener.Close()))
	}
	return listener, nil
}

func address(data string) string { return filepath.Join(data, "admin.sock") }

// private gives the socket its mode before it has a name, where the system can
// do that (Linux); elsewhere Listen's chmod has to do.
func private(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
}

// dial connects to the socket if it is one that only the data directory's owner
// can have made: a backup that is restored holds secrets.
func dial(ctx context.Context, data string) (net.Conn, error) {
	dir, err := os.Stat(data)
	if err != nil {
		return nil, err
	}
	socket, err := os.Lstat(address(data))
	if err != nil {
		return nil, err
	}
	if owner(dir) != owner(socket) {
		return nil, fmt.Errorf("%s belongs to somebody else", address(data))
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", address(data))
}

func owner(info fs.FileInfo) uint32 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid
	}
	return ^uint32(0)
}
