package hostnet

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"
)

// acceptAgain is how long an Accept is waited with that failed.
const acceptAgain = 50 * time.Millisecond

// Accept returns the next connection. It fails, with net.ErrClosed, only once
// the listener is closed or ctx has ended: that the process is out of
// descriptors, or that a peer has gone again, passes.
func Accept(ctx context.Context, l net.Listener, log *slog.Logger) (net.Conn, error) {
	for {
		conn, err := l.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return conn, err
		}
		log.Warn("a connection could not be accepted", "listener", l.Addr(), "error", err)
		if !Pause(ctx, acceptAgain) {
			return nil, net.ErrClosed
		}
	}
}
