//go:build !windows

package admin

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"earshot/protocol/hostnet"
)

// Listen opens the socket in a data directory for its owner alone. The caller
// holds the directory's lock.
func Listen(data string) (net.Listener, error) {
	listener, err := hostnet.ListenPrivate(address(data))
	if err != nil {
		return nil, fmt.Errorf("the administrator's socket: %w", err)
	}
	return listener, nil
}

func address(data string) string { return filepath.Join(data, "admin.sock") }

// dial connects to the socket if it is one that only the data directory's owner
// can have made: a backup that is restored holds secrets.
func dial(ctx context.Context, data string) (net.Conn, error) {
	dir, err := os.Stat(data)
	if err != nil {
		return nil, err
	}
	owner, ok := hostnet.Owner(dir)
	if !ok {
		return nil, fmt.Errorf("nobody knows whose %s is", data)
	}
	return hostnet.DialPrivate(ctx, address(data), owner)
}
