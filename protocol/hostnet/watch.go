package hostnet

import "errors"

// Change is what Net.Watch tells of.
type Change string

const (
	// Moved is that the host's addresses, links or default routes have changed,
	// or were away for a moment. What is still there may be another network
	// of the same numbers.
	Moved Change = "moved"
	// Woke is that the computer was asleep, or that its clock has been set,
	// which some systems can't tell apart.
	Woke Change = "woke"
)

// ErrWatch is a system that can't tell of changes, so that one has to look.
var ErrWatch = errors.New("this system doesn't tell of network changes")
