//go:build linux

package idle

import (
	"testing"

	"earshot/installer/bed"
)

// Windows' way runs under wine, which knows of input to its own windows only.
func TestWine(t *testing.T) {
	bed.NewWine(t).Test("./tray/idle")
}
