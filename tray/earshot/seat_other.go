//go:build !windows

package main

import (
	"cmp"
	"os"
)

// seat tells a desktop session from the account's others; empty is none.
func (c *command) seat() string {
	if c.opts.headless {
		return ""
	}
	return cmp.Or(os.Getenv("WAYLAND_DISPLAY"), os.Getenv("DISPLAY"))
}
