//go:build !windows

package hostnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// longestSocket is what fits sun_path on every Unix that we run on.
const longestSocket = 103

// ListenPrivate opens a Unix socket that only the account of this process, and
// root, can connect to. The caller owns the directory, so that a socket which is
// there already belongs to a process that was killed, and is replaced.
func ListenPrivate(socket string) (net.Listener, error) {
	if len(socket) > longestSocket {
		return nil, fmt.Errorf("the path %s is too long for a socket; choose a directory with a shorter path", socket)
	}
	if info, err := os.Lstat(socket); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("%s is in the way and is not a socket; move it away", socket)
		}
		if err := os.Remove(socket); err != nil {
			return nil, err
		}
	}
	listener, err := (&net.ListenConfig{Control: private}).Listen(context.Background(), "unix", socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// private gives the socket its mode before it has a name, where the system can
// do that (Linux); elsewhere ListenPrivate's chmod has to do.
func private(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
}

// DialPrivate connects to a Unix socket that nobody but owner can have made.
func DialPrivate(ctx context.Context, socket string, owner uint32) (net.Conn, error) {
	info, err := os.Lstat(socket)
	if err != nil {
		return nil, err
	}
	if got, ok := Owner(info); !ok || got != owner {
		return nil, fmt.Errorf("%s belongs to somebody else", socket)
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", socket)
}

// Owner returns the user ID of a file's owner.
func Owner(info fs.FileInfo) (uid uint32, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Uid, true
}
