//go:build !windows

// Package sessionbus connects to the desktop's message bus, if there is one.
package sessionbus

import (
	"context"

	"github.com/godbus/dbus/v5"
)

// Connect returns a connection of its own, which ends with ctx or Close. Where
// no bus runs it is an error: the library's usual way would start one, which
// nobody else would know of and nobody would end.
func Connect(ctx context.Context) (*dbus.Conn, error) {
	conn, err := dbus.SessionBusPrivateNoAutoStartup(dbus.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if err := conn.Auth(nil); err != nil {
		conn.Close()
		return nil, err
	}
	if err := conn.Hello(); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
