//go:build linux

package win32_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"net"
	"net/netip"
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

	"earshot/installer/bed"
)

// TestWineClient runs the whole client under wine beside a native one: both on
// the roster of a native earshotd, over real sockets of the loopback. The
// command line reaches the background process through its named pipe. A name in
// the menu of the tray's icon is clicked, and the popup that opens sends a
// message, which arrives in the native client's history.
//
// The program is built with an overlay of Go's net package (see bed.Wine), and
// wine is no Windows: this does not prove the pipe's access rights, toasts (only
// that they are done without),
// the firewall's question at the first start, sleep and resume, or logoff.
func TestWineClient(t *testing.T) {
	w := bed.NewWine(t)
	server := startCoordinator(t)
	bob := startNative(t, server, "bob")

	exe := w.Build("./tray/earshot", "-ldflags", "-H windowsgui -X main.version=1.2.3")
	dir := t.TempDir()
	redirected(t, w, exe, dir)
	profile := bed.Path(dir)
	t.Cleanup(func() {
		if text, err := os.ReadFile(filepath.Join(dir, "earshot.log")); t.Failed() {
			t.Logf("the client's log: %s %v", text, err)
		}
	})
	w.Start(exe, "--profile", profile, "--server", server, "--name", "王小明", "--language", "en")
	w.Await("the client under wine is on the native one's roster", 40*time.Second, func() bool {
		return strings.Contains(bob("roster"), "王小明")
	})
	// Wine connects the pipe's first caller to a handle at which nobody answers,
	// as Windows 7 did (go-winio issue 313): that one is for nothing, and
	// whichever of the two it is, the other one is answered.
	rosters := []string{w.Run(exe, "roster", "--profile", profile), w.Run(exe, "roster", "--profile", profile)}
	w.Await("the command line reaches the client through its pipe", 20*time.Second, func() bool {
		return slices.ContainsFunc(rosters, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(text), "bob")
		})
	})
	clickInMenu(w)
	w.Await("the popup is shown", 30*time.Second, func() bool {
		out, err := w.X("search", "--onlyvisible", "--name", "^bob – Earshot$")
		return err == nil && out != ""
	})
	bob("send", "王小明", "are you there?")
	w.Do("type", "--delay", "30", "hello from Windows")
	w.Do("key", "Return")
	w.Await("the message arrived", 10*time.Second, func() bool {
		return strings.Contains(bob("history", "王小明"), "hello from Windows")
	})
	w.Shot("wine-client")
	w.Do("key", "Escape")
	// Wine has no toasts: notifications take the plain way, whatever they say, and
	// the client goes on.
	bob("send", "王小明", "$(calc) ]]></text> again")
	w.Await("the client knows that toasts don't work", 20*time.Second, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "earshot.log"))
		return err == nil && strings.Contains(string(text), "notifications go the plain way")
	})
	w.Run(exe, "quit", "--profile", profile)
	w.Await("the client logged out", 20*time.Second, func() bool {
		return leftRoster.MatchString(bob("roster"))
	})
}

// TestWineStartFails has a start that can't be, without a console to print on,
// say so in a message box. That Windows' Explorer starts programs as wine's
// start does, without standard handles, is not proven by it.
func TestWineStartFails(t *testing.T) {
	w := bed.NewWine(t)
	exe := w.Build("./tray/earshot", "-ldflags", "-H windowsgui")
	w.Run("start", bed.Path(exe), "--profile", bed.Path(t.TempDir()), "--language", "en")
	w.Await("the box is shown", 30*time.Second, func() bool {
		out, err := w.X("search", "--onlyvisible", "--name", "^Earshot$")
		return err == nil && out != ""
	})
	w.Shot("wine-start-fails")
}

// clickInMenu opens the menu of the icon in the tray and chooses the only
// person in it, whom the black disc before the name gives away: wine draws the
// taskbar and the menu without windows that could be looked for. The icon is in
// the corner of the desktop of bed.Wine.
func clickInMenu(w *bed.Wine) {
	const menuX, menuY = 980, 570 // within the menu, free of text
	var mark image.Point
	w.Await("the menu has the person", 20*time.Second, func() bool {
		w.Do("mousemove", "990", "640", "click", "1")
		w.Await("the menu opens", 5*time.Second, func() bool { return w.Pixel(menuX, menuY) == "#FFFFFF" })
		var found bool
		if mark, found = disc(w); found {
			return true
		}
		// It was opened before the roster was drawn, which comes once a second.
		w.Do("mousemove", "300", "300", "click", "1") // the keyboard is elsewhere
		w.Await("the menu closes", 5*time.Second, func() bool { return w.Pixel(menuX, menuY) != "#FFFFFF" })
		return false
	})
	w.Do("mousemove", strconv.Itoa(mark.X+12), strconv.Itoa(mark.Y)) // and off the icon, whose tooltip is in the way
	w.Await("the row is marked", 5*time.Second, func() bool { return w.Pixel(menuX, mark.Y) != "#FFFFFF" })
	w.Shot("wine-menu")
	w.Do("click", "1")
}

// disc looks for a black disc in what the desktop shows above the taskbar.
func disc(w *bed.Wine) (image.Point, bool) {
	const radius, black = 3, 0x4000
	file, err := os.Open(w.Shot("wine-menu"))
	if err != nil {
		return image.Point{}, false
	}
	defer file.Close()
	screen, err := png.Decode(file)
	if err != nil {
		return image.Point{}, false
	}
	dark := func(x, y int) bool {
		r, g, b, _ := screen.At(x, y).RGBA()
		return r < black && g < black && b < black
	}
	cross := func(x, y int) bool {
		for i := -radius; i <= radius; i++ {
			if !dark(x+i, y) || !dark(x, y+i) {
				return false
			}
		}
		return true
	}
	for y := 300; y < 625; y++ {
		for x := 600; x < 990; x++ {
			if cross(x, y) {
				return image.Pt(x, y), true
			}
		}
	}
	return image.Point{}, false
}

// redirected has the program, which is one for the desktop and has no console,
// print into a file of a shell, in an argument of which it stands without
// spaces.
func redirected(t *testing.T, w *bed.Wine, exe, dir string) {
	t.Helper()
	out := filepath.Join(dir, "version")
	w.Run("cmd", "/c", bed.Path(exe)+" version > "+bed.Path(out))
	w.Await("the version is in the shell's file", 20*time.Second, func() bool {
		text, err := os.ReadFile(out)
		return err == nil && strings.TrimSpace(string(text)) == "earshot 1.2.3"
	})
}

var leftRoster = regexp.MustCompile(`王小明.*offline`)

// build builds a program for this machine.
func build(t *testing.T, pkg string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(pkg))
	command := exec.CommandContext(t.Context(), "go", "build", "-o", program, pkg)
	command.Dir = bed.ModuleRoot(t)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return program
}

// run runs a program until the test ends, which ends it by SIGTERM.
func run(t *testing.T, environment []string, program string, args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, program, args...)
	command.Env = environment
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = command.Wait()
	})
}

// startCoordinator starts earshotd on three free ports of the loopback and
// returns its address. Clients wait for it by themselves.
func startCoordinator(t *testing.T) string {
	t.Helper()
	address := freePorts(t)
	run(t, os.Environ(), build(t, "./svc/earshotd"), "run", "--listen", address, "--data", t.TempDir())
	return address
}

// freePorts returns an address whose port and the two after it are free.
func freePorts(t *testing.T) string {
	t.Helper()
	for port := uint16(24000); port < 30000; port += 3 {
		free := true
		for p := port; p < port+3; p++ {
			at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), p)
			tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
			if err != nil {
				free = false
				break
			}
			tcp.Close()
		}
		if free {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port).String()
		}
	}
	t.Fatal("no three free ports in a row")
	return ""
}

// startNative starts a client without a desktop and returns what runs its
// commands.
func startNative(t *testing.T, server, name string) func(args ...string) string {
	t.Helper()
	dir, program := t.TempDir(), build(t, "./tray/earshot")
	environment := append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
	common := []string{"--profile", filepath.Join(dir, "profile"), "--language", "en"}
	run(t, environment, program, append(slices.Clone(common), "--server", server, "--name", name, "run", "--headless")...)
	return func(args ...string) string {
		command := exec.CommandContext(t.Context(), program, append(slices.Clone(common), args...)...)
		var out bytes.Buffer
		command.Env, command.Stdout, command.Stderr = environment, &out, &out
		// A client that is only starting answers with an error, which the
		// caller sees by the text.
		_ = command.Run()
		return out.String()
	}
}
