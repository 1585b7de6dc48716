//go:build linux

package bed

import (
	"os"
	"os/exec"
	"path/filepath"
)

// Test builds the tests of a package of the module for wine, as Build does with
// programs, and runs them in the package's folder, with more flags.
func (w *Wine) Test(pkg string, flags ...string) {
	w.t.Helper()
	root := ModuleRoot(w.t)
	exe := filepath.Join(w.work, filepath.Base(pkg)+".test.exe")
	build := exec.CommandContext(w.t.Context(), "go", "test", "-c", "-overlay", w.overlay(), "-o", exe, pkg)
	build.Dir = root
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		w.t.Fatalf("go test -c %s: %v\n%s", pkg, err, text)
	}
	log, err := os.CreateTemp(w.work, "unit-*.log")
	w.must(err)
	defer log.Close()
	command := exec.CommandContext(w.t.Context(), "wine", append([]string{Path(exe), "-test.v", "-test.timeout", "90s"}, flags...)...)
	command.Dir = filepath.Join(root, pkg)
	command.Env, command.Stdout, command.Stderr = w.environment(w.prefix), log, log
	if err := command.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		w.t.Errorf("the tests of %s: %v\n%s", pkg, err, text)
	}
}
