//go:build linux

package gtk3

import "sync"

// Names of roles, as ATK has them.
const (
	roleHeading   = "heading"
	roleInfoBar   = "info bar"
	roleRedundant = "redundant object" // what is said elsewhere, and only seen here
)

// named gives a widget a name for screen readers.
func named(widget ptr, name string) {
	gSetAccessibleName(gAccessible(widget), name)
}

// is gives a widget a role for screen readers, and returns the widget.
func is(widget ptr, role string) ptr {
	gSetRole(gAccessible(widget), gRoleByName(role))
	return widget
}

// Announce implements ui.Window. ATK has the signal since 2.46, of 2022; before,
// screen readers only see that something is new.
func (w *window) Announce(text string) {
	if !w.closed && canAnnounce() {
		gSignalSay(gAccessible(w.top), "announcement", text)
	}
}

var canAnnounce = sync.OnceValue(func() bool { return gSignalLookup("announcement", gAtkType()) != 0 })
