//go:build linux

package bed

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Need ends the test unless all programs are there: skipped, with what is
// missing, or failed where CI is true.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	var missing []string
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		need(t, "this test needs "+strings.Join(missing, ", ")+"; make deps says which packages to install")
	}
}

// NeedRoot ends the test unless it runs as root, as Need does.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		need(t, "this test boots a container and needs root")
	}
}

// need is the one place where a test is skipped.
func need(t testing.TB, sentence string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
}
