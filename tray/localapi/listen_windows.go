package localapi

import (
	"context"
	"fmt"
	"net"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// Listen opens a profile's named pipe for the current user alone.
func Listen(pipe string) (net.Listener, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("localapi: %w", err)
	}
	listener, err := winio.ListenPipe(pipe, &winio.PipeConfig{
		// Protected from inheritance; all rights for the user, none for others.
		SecurityDescriptor: "D:P(A;;GA;;;" + user.User.Sid.String() + ")",
	})
	if err != nil {
		return nil, fmt.Errorf("localapi: %w", err)
	}
	return listener, nil
}

func dial(ctx context.Context, pipe string) (net.Conn, error) {
	return winio.DialPipeContext(ctx, pipe)
}
