//go:build linux

package installer

import (
	"testing"

	"earshot/installer/bed"
)

// TestWineUnits runs the tests of what is different on Windows on wine: files
// and their locks, named pipes, the registry, and the database on them.
//
// It proves that this code does on wine's kernel what it does on Linux'. It
// does not prove access rights, which wine hardly has, that a pipe's name can't
// be taken twice, which wine allows, nor that a file outlives a power cut.
func TestWineUnits(t *testing.T) {
	w := bed.NewWine(t)
	for _, pkg := range []string{"tray/profile", "tray/store", "tray/localapi", "tray/client", "tray/autostart"} {
		w.Test("./" + pkg)
	}
}
