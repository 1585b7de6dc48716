//go:build linux

package desktoptest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"earshot/installer/bed"
)

// Patience bounds every wait for a foreign process.
const Patience = 20 * time.Second

// Notifier is a notification daemon.
type Notifier string

const (
	// NoNotifier leaves the desktop without a notification daemon.
	NoNotifier Notifier = ""
	// Dunst can be asked by dunstctl what it shows and told to click.
	Dunst Notifier = "dunst"
	// Xfce is the daemon of the Xfce desktop.
	Xfce Notifier = "xfce4-notifyd"
)

// Options choose what runs on the desktop. The zero value is a window manager
// and a session bus.
type Options struct {
	// Panel puts a panel with a tray at the upper edge.
	Panel bool
	// Notifier is the notification daemon.
	Notifier Notifier
	// Chinese starts ibus with libpinyin, and adds GTK_IM_MODULE to the
	// environment. See Desktop.Pinyin.
	Chinese bool
	// Screen is the screen's size, such as "2560x1600"; 1280x800 if empty.
	Screen string
	// Theme is the GTK theme of every process, such as "Adwaita:dark"; the
	// toolkit's own if empty.
	Theme string
	// Locale is LANG of every process; C.UTF-8 if empty.
	Locale string
}

// Desktop is a running desktop. Its methods belong to the test's goroutine and
// end the test when they can't do what they say.
type Desktop struct {
	// Display is the X display, such as ":3".
	Display string
	// Bus is the address of the session bus.
	Bus string
	// Home and Runtime are the private HOME and XDG_RUNTIME_DIR.
	Home, Runtime string

	t    testing.TB
	env  []string
	dir  string
	conn *dbus.Conn
}

// Start puts up a desktop that lasts as long as the test. A test that misses a
// program for it is skipped, or fails where CI is true.
func Start(t testing.TB, opts Options) *Desktop {
	t.Helper()
	bed.Need(t, opts.programs()...)
	d := &Desktop{t: t, dir: shortTempDir(t)}
	t.Cleanup(d.end)
	d.Home, d.Runtime = filepath.Join(d.dir, "home"), filepath.Join(d.dir, "run")
	for _, dir := range []string{d.Home, d.Runtime} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d.env = environment(d.Home, d.Runtime, opts.Locale)
	if opts.Theme != "" {
		d.env = append(d.env, "GTK_THEME="+opts.Theme)
	}
	d.startX(opts.Screen)
	d.startBus()
	if opts.Chinese {
		d.env = append(d.env, "GTK_IM_MODULE=ibus", "QT_IM_MODULE=ibus", "XMODIFIERS=@im=ibus")
	}
	d.Launch("openbox")
	d.startNotifier(opts.Notifier)
	if opts.Panel {
		d.startPanel()
	}
	if opts.Chinese {
		d.startPinyin()
	}
	return d
}

func (o Options) programs() []string {
	programs := []string{"Xvfb", "dbus-daemon", "openbox", "xdotool", "import", "xprop"}
	if o.Panel {
		programs = append(programs, "xfce4-panel")
	}
	switch o.Notifier {
	case Dunst:
		programs = append(programs, "dunst", "dunstctl")
	case Xfce:
		programs = append(programs, xfceNotifyd())
	}
	if o.Chinese {
		programs = append(programs, "ibus", "ibus-daemon")
	}
	return programs
}

// shortTempDir makes a directory whose path leaves room for the 108 bytes of a
// Unix socket's address, which t.TempDir does not for long test names.
func shortTempDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "desk")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// environment is what a login to a bare desktop would give, and nothing of the
// session that runs the tests.
func environment(home, runtime, locale string) []string {
	if locale == "" {
		locale = "C.UTF-8"
	}
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + runtime,
		"LANG=" + locale, "USER=test", "SHELL=/bin/sh", "TMPDIR=" + runtime,
		"XDG_CURRENT_DESKTOP=XFCE", "XDG_SESSION_TYPE=x11", "XDG_DATA_DIRS=/usr/local/share:/usr/share",
		// No accessibility bus, no settings that outlive the test, no GPU.
		"NO_AT_BRIDGE=1", "GSETTINGS_BACKEND=memory", "LIBGL_ALWAYS_SOFTWARE=1", "GDK_BACKEND=x11",
	}
}

// Env is the environment of a program on this desktop, for exec.Cmd.Env.
func (d *Desktop) Env() []string { return append([]string(nil), d.env...) }

// Launch starts a program on the desktop and returns at once. It is killed
// when the test ends, with everything that it started; its output goes to the
// test's log if the test fails.
func (d *Desktop) Launch(name string, args ...string) *exec.Cmd {
	d.t.Helper()
	cmd := exec.Command(name, args...)
	d.LaunchCmd(cmd)
	return cmd
}

// LaunchCmd is Launch for a command with particular settings. Its Env, if nil,
// becomes the desktop's.
func (d *Desktop) LaunchCmd(cmd *exec.Cmd) {
	d.t.Helper()
	if cmd.Env == nil {
		cmd.Env = d.Env()
	}
	var output *os.File
	if cmd.Stdout == nil || cmd.Stderr == nil {
		var err error
		output, err = os.CreateTemp(d.dir, "output-*")
		if err != nil {
			d.t.Fatal(err)
		}
		if cmd.Stdout == nil {
			cmd.Stdout = output
		}
		if cmd.Stderr == nil {
			cmd.Stderr = output
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		d.t.Fatalf("%s could not be started: %v", cmd.Path, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // a killed program's exit status says nothing
		close(ended)
	}()
	d.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if output == nil {
			return
		}
		defer output.Close()
		if d.t.Failed() {
			text, _ := os.ReadFile(output.Name())
			d.t.Logf("output of %s:\n%s", filepath.Base(cmd.Path), bytes.TrimSpace(text))
		}
	})
}

// Run runs a program on the desktop to its end and returns what it wrote to
// standard output. A program that fails ends the test.
func (d *Desktop) Run(name string, args ...string) string {
	d.t.Helper()
	out, err := d.try(name, args...)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

func (d *Desktop) try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = d.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// Await polls a condition of foreign processes until it holds, and ends the
// test with a picture of the screen when it doesn't come to hold in Patience.
func (d *Desktop) Await(what string, holds func() bool) {
	d.t.Helper()
	deadline := time.Now().Add(Patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			d.Screenshot("failed-" + strings.NewReplacer("/", "-", " ", "-").Replace(d.t.Name()))
			d.t.Fatalf("waited %v in vain for %s", Patience, what)
		}
		<-tick.C
	}
}

// end kills what is left: services that the bus started know the desktop only
// by its environment.
func (d *Desktop) end() {
	if d.conn != nil {
		d.conn.Close()
	}
	mark := []byte("XDG_RUNTIME_DIR=" + d.Runtime + "\x00")
	processes, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range processes {
		env, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(env, mark) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(file, "/proc/%d/environ", &pid); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if err := os.RemoveAll(d.dir); err != nil {
		d.t.Logf("the desktop's directory stays behind: %v", err)
	}
}
