package idle

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"

	"earshot/installer/bed"
	"earshot/tray/desktoptest"
)

// On a real X server: nobody touches anything, then somebody presses a key,
// then the server goes.
func TestX(t *testing.T) {
	d := desktoptest.Start(t, desktoptest.Options{})
	t.Setenv("DISPLAY", d.Display)
	t.Setenv("WAYLAND_DISPLAY", "")
	changes := make(chan bool)
	ended := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() { ended <- Watch(ctx, 3*time.Second, func(away bool) { changes <- away }) }()
	for _, want := range []bool{true, false, true} {
		select {
		case got := <-changes:
			if got != want {
				t.Fatalf("away is %v, not %v", got, want)
			}
		case err := <-ended:
			t.Fatalf("it ended before away was %v: %v", want, err)
		}
		if want {
			d.Key("a")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A server that lets in only whoever knows the secret, and that ends.
func TestXWithSecret(t *testing.T) {
	bed.Need(t, "Xvfb")
	dir := t.TempDir()
	self, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	authority := filepath.Join(dir, "authority")
	entry := slices.Concat([]byte{1, 0}, field(self), field(""), field("MIT-MAGIC-COOKIE-1"), field("sixteen bytes, 1"))
	if err := os.WriteFile(authority, entry, 0o600); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	server := exec.Command("Xvfb", "-displayfd", "3", "-nolisten", "tcp", "-noreset", "-auth", authority)
	server.ExtraFiles = []*os.File{w}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() { _ = server.Process.Kill(); _ = server.Wait() })
	t.Cleanup(end)
	w.Close()
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DISPLAY", ":"+strings.TrimSpace(number))
	t.Setenv("XAUTHORITY", filepath.Join(dir, "none"))
	if _, err := openX(t.Context()); err == nil {
		t.Error("the server lets everybody in, so this test shows nothing")
	}
	t.Setenv("XAUTHORITY", authority)
	s, err := openX(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if idle, err := s.idle(t.Context()); err != nil || idle > time.Minute {
		t.Errorf("nothing was touched for %v, %v", idle, err)
	}
	end()
	if _, err := s.idle(t.Context()); err == nil {
		t.Error("the server has gone, and nobody notices")
	}
}

func field(text string) []byte {
	return append([]byte{byte(len(text) >> 8), byte(len(text))}, text...)
}

// session is logind's object for the session of whoever asks.
const session = "/org/freedesktop/login1/session/auto"

// Where nothing else tells, logind does, of whom this test is one.
func TestLogind(t *testing.T) {
	bus := startBus(t)
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
	t.Setenv("DISPLAY", "")
	t.Setenv("WAYLAND_DISPLAY", "")
	if _, err := open(t.Context()); err == nil {
		t.Fatal("something tells though nothing runs")
	}
	if err := Watch(t.Context(), time.Minute, nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("got %v", err)
	}
	conn, err := dbus.Connect(bus)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	properties, err := prop.Export(conn, session, prop.Map{"org.freedesktop.login1.Session": {
		"IdleHint": {Value: false}, "LockedHint": {Value: false}, "IdleSinceHint": {Value: uint64(0)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName("org.freedesktop.login1", 0); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	s, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if idle, err := s.idle(t.Context()); idle != 0 || err != nil {
		t.Errorf("somebody is there: %v, %v", idle, err)
	}
	properties.SetMust("org.freedesktop.login1.Session", "IdleSinceHint", uint64(time.Now().Add(-time.Hour).UnixMicro()))
	properties.SetMust("org.freedesktop.login1.Session", "IdleHint", true)
	if idle, err := s.idle(t.Context()); idle < time.Hour || idle > time.Hour+time.Minute || err != nil {
		t.Errorf("nobody is there: %v, %v", idle, err)
	}
	properties.SetMust("org.freedesktop.login1.Session", "IdleHint", false)
	properties.SetMust("org.freedesktop.login1.Session", "LockedHint", true)
	if idle, err := s.idle(t.Context()); idle != forever || err != nil {
		t.Errorf("the screen is locked: %v, %v", idle, err)
	}
	conn.Close()
	if _, err := s.idle(t.Context()); err == nil {
		t.Error("logind has gone, and nobody notices")
	}
}

// monitor is GNOME's, in the test's hand.
type monitor struct{}

func (monitor) GetIdletime() (uint64, *dbus.Error) { return 90_000, nil }

// On a Wayland session the compositor is asked, and not the X server beside it.
func TestMutter(t *testing.T) {
	bus := startBus(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", bus)
	t.Setenv("WAYLAND_DISPLAY", "wayland-0")
	conn, err := dbus.Connect(bus)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Export(monitor{}, "/org/gnome/Mutter/IdleMonitor/Core", "org.gnome.Mutter.IdleMonitor"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName("org.gnome.Mutter.IdleMonitor", 0); err != nil {
		t.Fatal(err)
	}
	s, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if idle, err := s.idle(t.Context()); idle != 90*time.Second || err != nil {
		t.Errorf("got %v, %v", idle, err)
	}
}

// startBus starts a message bus.
func startBus(t *testing.T) string {
	t.Helper()
	bed.Need(t, "dbus-daemon")
	address := "unix:path=" + filepath.Join(t.TempDir(), "bus")
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address", "--address="+address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 1)); err != nil { // it says where it is once it listens
		t.Fatal(err)
	}
	return address
}
