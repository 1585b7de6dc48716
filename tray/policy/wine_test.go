//go:build linux

package policy

import (
	"testing"

	"earshot/installer/bed"
)

// The registry is wine's.
func TestWine(t *testing.T) {
	bed.NewWine(t).Test("./tray/policy")
}
