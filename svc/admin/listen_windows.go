package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/Microsoft/go-winio"

	"earshot/protocol/hostnet"
)

// Listen opens the named pipe of a data directory for administrators and the
// account of this process.
func Listen(data string) (net.Listener, error) {
	// The system, and administrators.
	listener, err := hostnet.ListenPrivate(address(data), "(A;;GA;;;SY)(A;;GA;;;BA)")
	if err != nil {
		return nil, fmt.Errorf("the administrator's pipe: %w", err)
	}
	return listener, nil
}

// address is the pipe of a data directory.
func address(data string) string {
	if absolute, err := filepath.Abs(data); err == nil {
		data = absolute
	}
	sum := sha256.Sum256([]byte(strings.ToLower(filepath.Clean(data))))
	return `\\.\pipe\earshotd-` + hex.EncodeToString(sum[:8])
}

func dial(ctx context.Context, data string) (net.Conn, error) {
	return winio.DialPipeContext(ctx, address(data))
}
