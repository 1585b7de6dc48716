//go:build !linux && !windows

package hostnet

import (
	"errors"
	"time"
)

// giveUpAfter would bound how long data may stay unacknowledged.
func giveUpAfter(uintptr, time.Duration) error { return errors.ErrUnsupported }
