package session

import "time"

const (
	// shortestPause is how long a device is left alone that has ended a
	// connection without taking anything, and the time doubles up to
	// longestPause until it takes something.
	shortestPause = 100 * time.Millisecond
	longestPause  = 5 * time.Second
)

// backoff keeps a device that takes nothing, be it that its disk is full or
// that it is broken, from being connected to in a loop, whoever makes the
// connections and however fast the items that failed come again. The zero value
// is ready for use. It outlives connections, and as longestPause is less than
// lingerFor no device is forgotten while it is left alone.
type backoff struct {
	until time.Time
	last  time.Duration
}

// fail notes a connection over which nothing was taken.
func (b *backoff) fail(now time.Time) {
	b.last = min(max(2*b.last, shortestPause), longestPause)
	b.until = now.Add(b.last)
}

// reset notes that something was taken.
func (b *backoff) reset() { *b = backoff{} }

// resting says that the device is left alone.
func (b *backoff) resting(now time.Time) bool { return now.Before(b.until) }
