//go:build linux

package popup

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot/tray/desktoptest"
)

// patience bounds every wait for another process on a busy machine.
const patience = desktoptest.Patience

// openDesktop starts a desktop and waits for its window manager, without which
// no window gets the keyboard.
func openDesktop(t *testing.T, opts desktoptest.Options) *desktoptest.Desktop {
	t.Helper()
	d := desktoptest.Start(t, opts)
	d.Await("the window manager", func() bool {
		return strings.Contains(d.Run("xprop", "-root", "_NET_SUPPORTING_WM_CHECK"), "window id")
	})
	return d
}

// activeWindow waits until the window with that title has the keyboard, and
// returns its ID.
func activeWindow(d *desktoptest.Desktop, title string) string {
	var id string
	d.Await("the active window "+title, func() bool {
		for _, found := range d.Windows("^" + regexp.QuoteMeta(title) + "$") {
			decimal, err := strconv.ParseUint(found, 10, 32)
			active := d.Run("xprop", "-root", "_NET_ACTIVE_WINDOW")
			if err == nil && strings.HasSuffix(active, fmt.Sprintf(" 0x%x", decimal)) {
				id = found
			}
		}
		return id != ""
	})
	return id
}

// shot keeps a picture of a window among the artefacts.
func shot(t *testing.T, d *desktoptest.Desktop, window, name string) {
	t.Helper()
	d.Run("import", "-silent", "-window", window, filepath.Join(desktoptest.Artifacts(t), "popup-"+name+".png"))
}

// popupProcess is a popup under test.
type popupProcess struct {
	t       testing.TB
	cmd     *exec.Cmd
	orders  io.WriteCloser
	reports chan report
	// reached gets what the trace says, with the milliseconds since the
	// process was started here.
	reached chan string
	begun   time.Time
	exited  chan error
}

func startPopup(t *testing.T, d *desktoptest.Desktop, setup childSetup, env ...string) *popupProcess {
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
		t: t, cmd: exec.Command(self),
		reports: make(chan report, 100), reached: make(chan string, 100), exited: make(chan error, 1),
	}
	p.cmd.Env = append(append(d.Env(), childVariable+"="+string(text), TraceVariable+"=1"), env...)
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
		for range p.exited { // until it is closed
		}
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
