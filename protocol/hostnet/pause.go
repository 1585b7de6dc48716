package hostnet

import (
	"context"
	"time"
)

// Pause waits for d, and is false if ctx ends before that: a network that fails
// for a moment, or is to be asked a little later, is waited for like this.
func Pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
