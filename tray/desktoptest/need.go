//go:build linux

package desktoptest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// need ends the test unless all programs are there: skipped, with what to
// install, or failed where CI is true.
func need(t testing.TB, programs ...string) {
	t.Helper()
	var missing []string
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) == 0 {
		return
	}
	sentence := "this test needs " + strings.Join(missing, ", ") + "; make deps says which packages to install"
	if os.Getenv("CI") == "true" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
}
