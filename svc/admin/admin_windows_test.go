package admin_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strings"
	"testing"

	"github.com/Microsoft/go-winio"
)

func pipe(data string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(data)))
	return `\\.\pipe\earshotd-` + hex.EncodeToString(sum[:8])
}

func dialer(data string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return winio.DialPipeContext(ctx, pipe(data))
	}
}

// firstCall is a call for nothing: wine leads a pipe's first caller to a handle
// at which nobody answers, as Windows 7 did.
func firstCall(t *testing.T, data string) {
	t.Helper()
	conn, err := winio.DialPipe(pipe(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
