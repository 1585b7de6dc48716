package idle

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
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
	for _, v := range d.Env() {
		if name, value, _ := strings.Cut(v, "="); name == "XAUTHORITY" {
			t.Setenv(name, value)
		}
	}
	changes := make(chan bool)
	ended := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() { ended <- Watch(ctx, returnWithin+time.Second, func(away bool) { changes <- away }) }()
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
	s, err := openX(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if idle, err := s.idle(ctx); err != nil || idle > 10*time.Second {
		t.Errorf("the last key was %v ago, %v", idle, err)
	}
	s.close()
	cancel()
	for {
		select {
		case <-changes:
			continue
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		}
		break
	}
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
		"IdleHint": {Value: false}, "IdleSinceHint": {Value: uint64(0)},
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
	conn.Close()
	if _, err := s.idle(t.Context()); err == nil {
		t.Error("logind has gone, and nobody notices")
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
