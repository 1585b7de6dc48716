package hostnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// settleFor is how long a row of messages may take that one change causes.
const settleFor = 100 * time.Millisecond

// Watch listens to route(4), of which any message is a change. It has not been
// tried: there was no such computer.
func (portable) Watch(ctx context.Context, changed func(Change)) error {
	fd, err := unix.Socket(unix.AF_ROUTE, unix.SOCK_RAW, unix.AF_UNSPEC)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWatch, os.NewSyscallError("socket", err))
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return fmt.Errorf("%w: %w", ErrWatch, os.NewSyscallError("fcntl", err))
	}
	events := os.NewFile(uintptr(fd), "route")
	defer events.Close()
	defer context.AfterFunc(ctx, func() { events.Close() })()
	for buffer := make([]byte, 1<<12); ; {
		if _, err := events.Read(buffer); errors.Is(err, os.ErrClosed) {
			return nil
		}
		for deadline := time.Now().Add(settleFor); events.SetReadDeadline(deadline) == nil; {
			if _, err := events.Read(buffer); err != nil {
				break
			}
		}
		_ = events.SetReadDeadline(time.Time{}) // fails once the file is closed, which Read tells
		if ctx.Err() != nil {
			return nil
		}
		changed(Moved)
	}
}
