//go:build linux

package bed

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// serviceChanges are the places of golang.org/x/sys that wine needs otherwise.
var serviceChanges = []struct{ file, old, new string }{
	{ // wine starts services outside of session 0
		"windows/svc/security.go",
		`return parentProcess.SessionID == 0 && strings.EqualFold("services.exe",`,
		`return strings.EqualFold("services.exe",`,
	},
	{ // wine knows neither a delayed start nor recovery after an exit with an error
		"windows/zsyscall_windows.go",
		"syscall.SyscallN(procChangeServiceConfig2W.Addr(), uintptr(service), uintptr(infoLevel), uintptr(unsafe.Pointer(info)))\n\tif r1 == 0 {",
		"syscall.SyscallN(procChangeServiceConfig2W.Addr(), uintptr(service), uintptr(infoLevel), uintptr(unsafe.Pointer(info)))\n\tif r1 == 0 && e1 != ERROR_INVALID_LEVEL {",
	},
}

// BuildService is Build for a program that is a service. That is less the
// program that is shipped: its golang.org/x/sys takes wine's services for
// services, and does without what wine's service manager does not know.
func (w *Wine) BuildService(pkg string) string {
	w.t.Helper()
	root := ModuleRoot(w.t)
	list := exec.CommandContext(w.t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys")
	list.Dir = root
	out, err := list.Output()
	w.must(err)
	module := filepath.Join(w.work, "sys")
	w.must(os.CopyFS(module, os.DirFS(strings.TrimSpace(string(out)))))
	for _, change := range serviceChanges {
		file := filepath.Join(module, change.file)
		text, err := os.ReadFile(file)
		w.must(err)
		if n := bytes.Count(text, []byte(change.old)); n != 1 {
			w.t.Fatalf("%s of golang.org/x/sys has %q %d times, not once: wine's copy must be adapted", change.file, change.old, n)
		}
		w.must(os.Chmod(file, 0o644))
		w.must(os.WriteFile(file, bytes.Replace(text, []byte(change.old), []byte(change.new), 1), 0o644))
	}

	mod := filepath.Join(w.work, "wine.mod")
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	w.must(err)
	w.must(os.WriteFile(mod, append(text, "\nreplace golang.org/x/sys => "+module+"\n"...), 0o644))
	text, err = os.ReadFile(filepath.Join(root, "go.sum"))
	w.must(err)
	w.must(os.WriteFile(filepath.Join(w.work, "wine.sum"), text, 0o644))
	return w.Build(pkg, "-modfile", mod)
}

// Persist keeps wine, and with it its services, until the test ends: it would
// end with the last program.
func (w *Wine) Persist() { w.run(w.prefix, "wineserver", "-p") }

// Does runs a program to its end and returns what it printed and whether its
// exit code was 0.
func (w *Wine) Does(program string, args ...string) (printed string, ok bool) {
	w.t.Helper()
	log, err := os.CreateTemp(w.work, "does-*.log")
	w.must(err)
	defer log.Close()
	command := exec.Command("wine", append([]string{Path(program)}, args...)...)
	command.Env, command.Stdout, command.Stderr = w.environment(w.prefix), log, log
	failed := command.Run()
	_, err = log.Seek(0, io.SeekStart)
	w.must(err)
	text, err := io.ReadAll(log)
	w.must(err)
	return string(text), failed == nil
}
