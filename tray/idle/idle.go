// Package idle tells when the person has left the computer alone: no key, no
// mouse, no touch.
package idle

import (
	"context"
	"errors"
	"time"
)

// ErrUnsupported is a system that doesn't tell.
var ErrUnsupported = errors.New("this system does not tell when the person is away")

// source is where a platform tells how long nothing was touched. It may be slow,
// and fails for good.
type source interface {
	idle(ctx context.Context) (time.Duration, error)
	close()
}

// Watch calls on with true once the person hasn't touched anything for after,
// a second late at most, and with false once the person is back, twenty seconds
// late at most, until ctx ends; then it returns nil. A system that doesn't tell, or no longer, is
// ErrUnsupported, after an on(false) if the person was away.
func Watch(ctx context.Context, after time.Duration, on func(away bool)) error {
	s, err := open(ctx)
	if err != nil {
		return errors.Join(ErrUnsupported, err)
	}
	defer s.close()
	return watch(ctx, s, after, on)
}

func watch(ctx context.Context, s source, after time.Duration, on func(away bool)) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	away := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		idle, err := s.idle(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if away {
				on(false)
			}
			return errors.Join(ErrUnsupported, err)
		}
		was := away
		var wait time.Duration
		if away, wait = judge(idle, after); away != was {
			on(away)
		}
		timer.Reset(wait)
	}
}

const (
	// returnWithin is how soon it is noticed that the person is back. To look more
	// often would wake the computer all night.
	returnWithin = 20 * time.Second
	// atLeast is between two questions.
	atLeast = time.Second
)

// judge says whether the person is away, and when to look again: whoever is
// there can't be away before the time is up, and whoever is back for less than
// the time between two looks would not be noticed.
func judge(idle, after time.Duration) (away bool, wait time.Duration) {
	if idle >= after {
		return true, min(returnWithin, after/2)
	}
	return false, max(atLeast, after-idle)
}
