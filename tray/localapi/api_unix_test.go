//go:build !windows

package localapi_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"earshot/tray/localapi"
)

// address is one at which nobody listens.
func address(t *testing.T) string { return filepath.Join(t.TempDir(), "s") }

func dial(socket string) (net.Conn, error) { return net.Dial("unix", socket) }

// firstCall is for Windows.
func firstCall(*testing.T, string) {}

func TestSocketIsPrivate(t *testing.T) {
	_, _, socket := serve(t)
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, %v", info.Mode(), err)
	}
}

// A killed client leaves its socket: the next one takes its place, and whoever
// comes in between learns that nobody is there.
func TestStaleSocketIsReplaced(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := localapi.Dial(socket).Ask(t.Context()); !errors.Is(err, localapi.ErrNotRunning) {
		t.Errorf("a stale socket gives %v", err)
	}
	l, err := localapi.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := localapi.Dial(socket).Ask(t.Context()); !errors.Is(err, localapi.ErrNotRunning) {
		t.Errorf("no socket gives %v", err)
	}
	if err := os.WriteFile(socket, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := localapi.Listen(socket); err == nil {
		t.Error("a file that is no socket was replaced")
	}
}
