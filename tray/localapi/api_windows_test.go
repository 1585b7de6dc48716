package localapi_test

import (
	"crypto/rand"
	"errors"
	"net"
	"testing"

	"earshot/tray/localapi"

	"github.com/Microsoft/go-winio"
)

// address is one at which nobody listens.
func address(*testing.T) string { return `\\.\pipe\earshot-test-` + rand.Text() }

func dial(pipe string) (net.Conn, error) { return winio.DialPipe(pipe, nil) }

// firstCall is a call for nothing: wine leads a pipe's first caller to a handle
// at which nobody answers, as Windows 7 did.
func firstCall(t *testing.T, pipe string) {
	t.Helper()
	conn, err := dial(pipe)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestNoPipeIsNobodyThere(t *testing.T) {
	pipe := address(t)
	client := localapi.Dial(pipe)
	defer client.Close()
	if _, err := client.Ask(t.Context()); !errors.Is(err, localapi.ErrNotRunning) {
		t.Errorf("no pipe gives %v", err)
	}
	l, err := localapi.Listen(pipe)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Ask(t.Context()); !errors.Is(err, localapi.ErrNotRunning) {
		t.Errorf("a closed pipe gives %v", err)
	}
}
