//go:build linux

package bed

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Wine is a Windows desktop under wine on an X server of its own, for one
// test. It proves that programs start, show their windows and speak to the
// network; it is no Windows: fonts, input methods, toasts, services'
// recovery, accounts and the firewall are wine's or missing.
type Wine struct {
	t       testing.TB
	dir     string // what wine keeps between tests: prefix and overlay
	prefix  string
	display string
	work    string // the test's own folder
}

// WinePrograms are the programs that a Wine needs.
var WinePrograms = []string{"wine", "wineserver", "x86_64-w64-mingw32-gcc", "Xvfb", "xdotool", "import"}

// winePrefixVersion is raised when a prefix is made in another way.
const winePrefixVersion = "1"

// NewWine makes a Wine, or ends the test if it can't be had on this machine.
// Tests that want one at the same time wait for each other.
func NewWine(t testing.TB) *Wine {
	t.Helper()
	Need(t, WinePrograms...)
	cache := os.Getenv("EARSHOT_CACHE")
	if cache == "" {
		cache = filepath.Join(ModuleRoot(t), ".cache")
	}
	w := &Wine{t: t, dir: filepath.Join(cache, "wine"), work: t.TempDir()}
	w.prefix = filepath.Join(w.dir, "prefix-"+winePrefixVersion)
	w.must(os.MkdirAll(w.dir, 0o755))
	w.lock()
	w.startX()
	w.makePrefix()
	t.Cleanup(w.end)
	return w
}

func (w *Wine) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// lock has this test be the only one with the prefix, across processes.
func (w *Wine) lock() {
	f, err := os.OpenFile(filepath.Join(w.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	w.must(err)
	w.must(syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	w.t.Cleanup(func() { _ = f.Close() })
}

// startX starts an X server on a free display.
func (w *Wine) startX() {
	read, write, err := os.Pipe()
	w.must(err)
	defer read.Close()
	x := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1000x650x24", "-nolisten", "tcp", "-noreset")
	x.ExtraFiles = []*os.File{write}
	log, err := os.Create(filepath.Join(w.work, "xvfb.log"))
	w.must(err)
	x.Stdout, x.Stderr = log, log
	w.must(x.Start())
	w.must(write.Close())
	w.t.Cleanup(func() {
		// It must have lived until now: a lost display explains what else went
		// wrong.
		_ = x.Process.Signal(syscall.SIGTERM)
		if err := x.Wait(); err != nil {
			text, _ := os.ReadFile(log.Name())
			w.t.Errorf("Xvfb ended: %v\n%s", err, text)
		}
		log.Close()
	})
	w.must(read.SetReadDeadline(time.Now().Add(20 * time.Second)))
	// To the line's end, which comes by itself: Xvfb ends if it can't write it.
	number, err := bufio.NewReader(read).ReadString('\n')
	w.must(err)
	w.display = ":" + strings.TrimSpace(number)
}

// environment is what all of wine's processes get.
func (w *Wine) environment(prefix string) []string {
	env := []string{
		"WINEPREFIX=" + prefix,
		"WINEDEBUG=-all",
		// No attempts to fetch .NET or a browser engine.
		"WINEDLLOVERRIDES=mscoree=;mshtml=;winemenubuilder.exe=",
		"DISPLAY=" + w.display,
		"LANG=C.UTF-8",
		"LC_ALL=C.UTF-8",
	}
	for _, variable := range os.Environ() {
		switch name, _, _ := strings.Cut(variable, "="); name {
		case "DISPLAY", "LANG", "LC_ALL", "WINEPREFIX", "WINEDEBUG", "WINEDLLOVERRIDES", "WAYLAND_DISPLAY":
		default:
			env = append(env, variable)
		}
	}
	return env
}

// run runs a program to its end, with its output in a file: wine's background
// processes keep what they inherit open, so a pipe would never end.
func (w *Wine) run(prefix, program string, args ...string) {
	w.t.Helper()
	log, err := os.CreateTemp(w.work, "run-*.log")
	w.must(err)
	defer log.Close()
	command := exec.CommandContext(w.t.Context(), program, args...)
	command.Env, command.Stdout, command.Stderr = w.environment(prefix), log, log
	if err := command.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		w.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, text)
	}
}

// fontRegistry has Windows' fonts replaced by one with Chinese characters.
const fontRegistry = "REGEDIT4\r\n\r\n[HKEY_CURRENT_USER\\Software\\Wine\\Fonts\\Replacements]\r\n" +
	"\"Tahoma\"=\"Noto Sans CJK SC\"\r\n" +
	"\"MS Shell Dlg\"=\"Noto Sans CJK SC\"\r\n" +
	"\"MS Shell Dlg 2\"=\"Noto Sans CJK SC\"\r\n" +
	"\"Segoe UI\"=\"Noto Sans CJK SC\"\r\n"

// prng is the DLL that Go's runtime needs and older wines lack.
const prng = `#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) {
	while (size > 0) {
		ULONG n = size > 65536 ? 65536 : (ULONG)size;
		if (!SystemFunction036(data, n)) return FALSE;
		data += n; size -= n;
	}
	return TRUE;
}
`

// makePrefix makes wine's C: drive and registry, once for all tests.
func (w *Wine) makePrefix() {
	if _, err := os.Stat(w.prefix); err == nil {
		return
	}
	making := w.prefix + ".making"
	w.must(os.RemoveAll(making))
	w.must(os.MkdirAll(making, 0o755))
	w.run(making, "wineboot", "-i")
	w.run(making, "wineserver", "-w")

	source := filepath.Join(w.work, "prng.c")
	w.must(os.WriteFile(source, []byte(prng), 0o644))
	w.run(making, "x86_64-w64-mingw32-gcc", "-O2", "-shared", "-s", "-o",
		filepath.Join(making, "drive_c/windows/system32/bcryptprimitives.dll"), source, "-ladvapi32")

	font, err := exec.Command("fc-match", "-f", "%{file}", "Noto Sans CJK SC").Output()
	w.must(err)
	data, err := os.ReadFile(string(font))
	w.must(err)
	w.must(os.WriteFile(filepath.Join(making, "drive_c/windows/Fonts", filepath.Base(string(font))), data, 0o644))
	registry := filepath.Join(w.work, "fonts.reg")
	w.must(os.WriteFile(registry, []byte(fontRegistry), 0o644))
	w.run(making, "wine", "regedit", "/S", Path(registry))
	w.run(making, "wineserver", "-k")
	w.run(making, "wineserver", "-w")
	w.must(os.Rename(making, w.prefix))
}

// Path is a file of this machine as a program under wine names it. What is no
// absolute path, like the name of one of Windows' own programs, stays so.
func Path(file string) string {
	if !filepath.IsAbs(file) {
		return file
	}
	return `Z:` + strings.ReplaceAll(file, "/", `\`)
}

// end ends every process under wine and waits for it.
func (w *Wine) end() {
	for _, how := range []string{"-k", "-w"} {
		command := exec.Command("wineserver", how)
		command.Env = w.environment(w.prefix)
		var exit *exec.ExitError
		// There may be no server any more, which -k reports by its status.
		if err := command.Run(); err != nil && !errors.As(err, &exit) {
			w.t.Errorf("wineserver %s: %v", how, err)
		}
	}
}

// Build builds a package of the module for wine, with these flags of go build,
// and returns the program's path. It is the program that is shipped but for one thing: Go's sockets
// ignore that wine has no SIO_UDP_NETRESET.
func (w *Wine) Build(pkg string, flags ...string) string {
	w.t.Helper()
	out := filepath.Join(w.work, filepath.Base(pkg)+".exe")
	args := slices.Concat([]string{"build", "-overlay", w.overlay(), "-o", out}, flags, []string{pkg})
	command := exec.CommandContext(w.t.Context(), "go", args...)
	command.Dir = ModuleRoot(w.t)
	command.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if text, err := command.CombinedOutput(); err != nil {
		w.t.Fatalf("go build %s: %v\n%s", pkg, err, text)
	}
	return out
}

// netReset is what Go does to each UDP socket and wine refuses. If Go changes
// it, this test bed has to follow. oldDelete is where os.RemoveAll asks a
// Windows before 10 in the older way; wine says in another word that it is one.
const (
	netReset = "err = syscall.WSAIoctl(fd.pfd.Sysfd, windows.SIO_UDP_NETRESET," +
		" (*byte)(unsafe.Pointer(&flag)), size, nil, 0, &ret, nil, 0)\n\t\tif err != nil {"
	netResetIgnored = "err = syscall.WSAIoctl(fd.pfd.Sysfd, windows.SIO_UDP_NETRESET," +
		" (*byte)(unsafe.Pointer(&flag)), size, nil, 0, &ret, nil, 0)\n\t\tif false && err != nil {"
	oldDelete   = "case STATUS_INVALID_INFO_CLASS,"
	olderDelete = "case NTStatus(0xC0000002), STATUS_INVALID_INFO_CLASS," // STATUS_NOT_IMPLEMENTED
)

// overlay writes the file for go build's -overlay.
func (w *Wine) overlay() string {
	w.t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	w.must(err)
	root := filepath.Join(strings.TrimSpace(string(out)), "src")
	plan, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(root, "net/fd_windows.go"):                      w.patched(root, "net/fd_windows.go", netReset, netResetIgnored),
		filepath.Join(root, "internal/syscall/windows/at_windows.go"): w.patched(root, "internal/syscall/windows/at_windows.go", oldDelete, olderDelete),
	}})
	w.must(err)
	path := filepath.Join(w.work, "overlay.json")
	w.must(os.WriteFile(path, plan, 0o644))
	return path
}

// patched writes a file of Go's with old replaced by new, and returns its path.
func (w *Wine) patched(root, name, old, new string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	w.must(err)
	if n := bytes.Count(text, []byte(old)); n != 1 {
		w.t.Fatalf("%s has %q %d times, not once: wine's overlay must be adapted to this Go", name, old, n)
	}
	changed := filepath.Join(w.work, filepath.Base(name))
	w.must(os.WriteFile(changed, bytes.Replace(text, []byte(old), []byte(new), 1), 0o644))
	return changed
}

// Start starts a program on the wine desktop, which comes up with it, and
// returns the file that gets its output.
func (w *Wine) Start(program string, args ...string) (log string) {
	w.t.Helper()
	line := append([]string{"explorer", "/desktop=earshot,1000x650", Path(program)}, args...)
	return w.start(line)
}

// Run starts a program without a desktop of its own, for commands to what
// Start started.
func (w *Wine) Run(program string, args ...string) (log string) {
	w.t.Helper()
	return w.start(append([]string{Path(program)}, args...))
}

func (w *Wine) start(line []string) string {
	w.t.Helper()
	log, err := os.CreateTemp(w.work, "program-*.log")
	w.must(err)
	defer log.Close()
	command := exec.Command("wine", line...)
	command.Env, command.Stdout, command.Stderr = w.environment(w.prefix), log, log
	w.must(command.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait()
	}()
	w.t.Cleanup(func() {
		w.end()
		<-ended
		if w.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			w.t.Logf("%s printed:\n%s", strings.Join(line, " "), text)
		}
	})
	return log.Name()
}

// X runs xdotool on the desktop and returns what it printed.
func (w *Wine) X(args ...string) (string, error) {
	command := exec.CommandContext(w.t.Context(), "xdotool", args...)
	command.Env = w.environment(w.prefix)
	out, err := command.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Do is X where failure ends the test.
func (w *Wine) Do(args ...string) {
	w.t.Helper()
	if out, err := w.X(args...); err != nil {
		w.t.Fatalf("xdotool %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Shot saves a picture of the desktop among the test artefacts.
func (w *Wine) Shot(name string) string {
	w.t.Helper()
	dir := os.Getenv("EARSHOT_ARTIFACTS")
	if dir == "" {
		dir = filepath.Join(ModuleRoot(w.t), "artifacts")
	}
	w.must(os.MkdirAll(dir, 0o755))
	file := filepath.Join(dir, name+".png")
	command := exec.CommandContext(w.t.Context(), "import", "-window", "root", file)
	command.Env = w.environment(w.prefix)
	if out, err := command.CombinedOutput(); err != nil {
		w.t.Fatalf("import: %v: %s", err, out)
	}
	return file
}

// Pixel is the colour of a place on the desktop, as #RRGGBB.
func (w *Wine) Pixel(x, y int) string {
	w.t.Helper()
	command := exec.CommandContext(w.t.Context(), "import", "-window", "root",
		"-crop", fmt.Sprintf("1x1+%d+%d", x, y), "-depth", "8", "txt:-")
	command.Env = w.environment(w.prefix)
	out, err := command.Output()
	if err != nil {
		w.t.Fatalf("import: %v", err)
	}
	color := pixelColor.FindString(string(out))
	if color == "" {
		w.t.Fatalf("import printed no pixel: %s", out)
	}
	return color
}

var pixelColor = regexp.MustCompile(`#[0-9A-F]{6}\b`)

// Await polls until what is true. Wine is a foreign process: nothing tells of
// its events.
func (w *Wine) Await(what string, within time.Duration, true func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !true() {
		select {
		case <-tick.C:
		case <-deadline.C:
			w.Shot("wine-failed-" + strconv.Itoa(os.Getpid()))
			w.t.Fatalf("after %v still not: %s", within, what)
		}
	}
}
