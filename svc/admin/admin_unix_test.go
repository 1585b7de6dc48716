//go:build !windows

package admin_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"earshot/svc/admin"
)

// firstCall is for Windows.
func firstCall(*testing.T, string) {}

func dialer(data string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", filepath.Join(data, "admin.sock"))
	}
}

func TestSocketIsPrivate(t *testing.T) {
	_, data := serve(t, &backend{})
	info, err := os.Stat(filepath.Join(data, "admin.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, %v", info.Mode(), err)
	}
}

// A killed coordinator leaves its socket: the next one takes its place, and
// whoever comes in between learns that nobody is there.
func TestStaleSocketIsReplaced(t *testing.T) {
	data := t.TempDir()
	socket := filepath.Join(data, "admin.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Dial(data).Users(t.Context()); !errors.Is(err, admin.ErrNotRunning) {
		t.Errorf("a stale socket gives %v", err)
	}
	l, err := admin.Listen(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(socket, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Listen(data); err == nil || !strings.Contains(err.Error(), socket) {
		t.Errorf("a file that is no socket: %v", err)
	}
	long := filepath.Join(data, strings.Repeat("long", 30))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Listen(long); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("a long path: %v", err)
	}
}
