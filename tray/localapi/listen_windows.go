package localapi

import (
	"context"
	"fmt"
	"net"

	"github.com/Microsoft/go-winio"

	"earshot/protocol/hostnet"
)

// Listen opens a profile's named pipe for the current user alone.
func Listen(pipe string) (net.Listener, error) {
	listener, err := hostnet.ListenPrivate(pipe, "")
	if err != nil {
		return nil, fmt.Errorf("localapi: %w", err)
	}
	return listener, nil
}

func dial(ctx context.Context, pipe string) (net.Conn, error) {
	return winio.DialPipeContext(ctx, pipe)
}
