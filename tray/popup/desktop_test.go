//go:build linux

package popup

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// display is the X display of this package's tests.
const display = ":91"

// patience bounds every wait for another process on a busy machine.
const patience = 20 * time.Second

// need skips the test where a program is missing, with the package that has
// it; where CI is true a skip is a failure.
func need(t *testing.T, programs map[string]string) {
	t.Helper()
	var packages []string
	for program, debian := range programs {
		if _, err := exec.LookPath(program); err != nil {
			packages = append(packages, debian)
		}
	}
	if len(packages) == 0 {
		return
	}
	text := "This test needs: apt-get install --no-install-recommends " + strings.Join(packages, " ")
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// desktop is an X server with a session bus and a window manager, shared by
// the package's tests.
type desktop struct {
	dir       string
	env       []string
	processes []*exec.Cmd
}

var (
	desktopOnce   sync.Once
	sharedDesktop *desktop
)

func openDesktop(t *testing.T) *desktop {
	t.Helper()
	need(t, map[string]string{
		"Xvfb": "xvfb", "xdotool": "xdotool", "openbox": "openbox", "dbus-daemon": "dbus", "import": "imagemagick",
		"xprop": "x11-utils",
	})
	desktopOnce.Do(func() { sharedDesktop = startDesktop(t) })
	if sharedDesktop == nil {
		t.Fatal("the desktop did not start")
	}
	return sharedDesktop
}

func startDesktop(t *testing.T) *desktop {
	dir, err := os.MkdirTemp("", "earshot-popup")
	if err != nil {
		t.Fatal(err)
	}
	d := &desktop{dir: dir}
	for _, sub := range []string{"home", "run"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	bus := "unix:path=" + filepath.Join(dir, "run", "bus")
	d.env = append(os.Environ(),
		"DISPLAY="+display, "HOME="+filepath.Join(dir, "home"), "XDG_RUNTIME_DIR="+filepath.Join(dir, "run"),
		"DBUS_SESSION_BUS_ADDRESS="+bus, "LANG=C.UTF-8", "LC_ALL=", "WAYLAND_DISPLAY=", "GTK_IM_MODULE=", "GTK_THEME=")
	ready, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command("Xvfb", display, "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-displayfd", "3")
	server.ExtraFiles = []*os.File{write}
	d.start(t, server)
	_ = write.Close()
	if line, err := bufio.NewReader(ready).ReadString('\n'); err != nil {
		t.Fatalf("Xvfb did not start on %s: %q, %v", display, line, err)
	}
	d.start(t, exec.Command("dbus-daemon", "--session", "--nofork", "--address="+bus))
	eventually(t, "the session bus", func() bool {
		_, err := os.Stat(filepath.Join(dir, "run", "bus"))
		return err == nil
	})
	d.start(t, exec.Command("openbox"))
	eventually(t, "the window manager", func() bool {
		out, err := d.command("xprop", "-root", "_NET_SUPPORTING_WM_CHECK").Output()
		return err == nil && bytes.Contains(out, []byte("window id"))
	})
	return d
}

func (d *desktop) start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Env = d.env
	// What is left of it ends with this process.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	d.processes = append(d.processes, cmd)
}

func stopDesktop() {
	if sharedDesktop == nil {
		return
	}
	for i := len(sharedDesktop.processes) - 1; i >= 0; i-- {
		cmd := sharedDesktop.processes[i]
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = cmd.Wait()
	}
	_ = os.RemoveAll(sharedDesktop.dir)
}

func (d *desktop) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = d.env
	return cmd
}

// do runs an X client, such as xdotool, and returns what it prints.
func (d *desktop) do(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := d.command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (d *desktop) key(t *testing.T, keys ...string) {
	t.Helper()
	d.do(t, "xdotool", append([]string{"key", "--delay", "40"}, keys...)...)
}

func (d *desktop) typeText(t *testing.T, text string) {
	t.Helper()
	d.do(t, "xdotool", "type", "--delay", "25", text)
}

// window waits until the active window has that title and returns its ID.
func (d *desktop) window(t *testing.T, title string) string {
	t.Helper()
	var id string
	eventually(t, "the window "+title, func() bool {
		out, err := d.command("xdotool", "getactivewindow", "getwindowname").Output()
		if err != nil || strings.TrimSpace(string(out)) != title {
			return false
		}
		out, err = d.command("xdotool", "getactivewindow").Output()
		id = strings.TrimSpace(string(out))
		return err == nil
	})
	return id
}

// shot keeps a picture of the screen as an artefact, cut to a window if there
// is one.
func (d *desktop) shot(t *testing.T, window, name string) {
	t.Helper()
	dir := os.Getenv("EARSHOT_ARTIFACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "artifacts")
	}
	dir = filepath.Join(dir, "popup")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d.do(t, "import", "-window", window, filepath.Join(dir, name+".png"))
}

// eventually polls another process at its boundary.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if ok() {
			return
		}
	}
	t.Fatalf("%s did not come about within %v", what, patience)
}

// popupProcess is a popup under test.
type popupProcess struct {
	t       *testing.T
	d       *desktop
	cmd     *exec.Cmd
	orders  io.WriteCloser
	reports chan report
	// reached gets what the trace says, with the milliseconds since the
	// process was started here.
	reached chan string
	begun   time.Time
	exited  chan error
}

func startPopup(t *testing.T, d *desktop, setup childSetup, env ...string) *popupProcess {
	t.Helper()
	text, err := json.Marshal(setup)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &popupProcess{
		t: t, d: d, cmd: d.command(self),
		reports: make(chan report, 100), reached: make(chan string, 100), exited: make(chan error, 1),
	}
	p.cmd.Env = append(append(p.cmd.Env, childVariable+"="+string(text), TraceVariable+"=1"), env...)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.orders, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	p.begun = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	readers.Go(func() { p.readReports(stdout) })
	readers.Go(func() { p.readTrace(stderr) })
	go func() {
		readers.Wait()
		p.exited <- p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
	return p
}

func (p *popupProcess) readReports(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var got report
		if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
			p.t.Errorf("the popup printed %q", lines.Text())
			continue
		}
		p.reports <- got
	}
	close(p.reports)
}

func (p *popupProcess) readTrace(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if !strings.Contains(line, "popup reached") {
			p.t.Errorf("the popup wrote to standard error: %s", line)
			continue
		}
		_, line, _ = strings.Cut(line, "what=")
		p.reached <- line
		p.t.Logf("%d ms after its start: %s", time.Since(p.begun).Milliseconds(), line)
	}
}

// typeable waits until the window has been drawn and has the focus.
func (p *popupProcess) typeable() {
	p.t.Helper()
	frame, ready := false, false
	for deadline := time.After(patience); !frame || !ready; {
		select {
		case what := <-p.reached:
			frame = frame || strings.Contains(what, "first frame")
			ready = ready || strings.Contains(what, "ready for typing")
		case <-deadline:
			p.t.Fatal("the popup is not ready for typing")
		}
	}
}

func (p *popupProcess) order(o order) {
	p.t.Helper()
	line, err := json.Marshal(o)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.orders.Write(append(line, '\n')); err != nil {
		p.t.Fatal(err)
	}
}

// want waits for the engine's next call and compares it.
func (p *popupProcess) want(want report) {
	p.t.Helper()
	select {
	case got := <-p.reports:
		if got != want {
			p.t.Fatalf("the engine was called by %+v, want %+v", got, want)
		}
	case <-time.After(patience):
		p.t.Fatalf("the engine was not called; want %+v", want)
	}
}

// wantExit waits for the process to end by itself, without another call.
func (p *popupProcess) wantExit() {
	p.t.Helper()
	select {
	case err := <-p.exited:
		if err != nil {
			p.t.Fatalf("the popup process ended with %v", err)
		}
	case <-time.After(patience):
		p.t.Fatal("the popup process did not end")
	}
	for got := range p.reports {
		p.t.Errorf("the engine was also called by %+v", got)
	}
}

// memory returns the process's resident and own (anonymous) memory in kB.
func (p *popupProcess) memory() (resident, own int) {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch name {
		case "VmRSS":
			resident = n
		case "RssAnon":
			own = n
		}
	}
	return resident, own
}
