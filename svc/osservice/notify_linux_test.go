package osservice

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// manager is a socket as systemd's, and what arrived there.
func manager(t *testing.T) <-chan string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", at)
	heard := make(chan string, 100)
	go func() {
		defer close(heard)
		buf := make([]byte, 1000)
		for {
			n, err := socket.Read(buf)
			if err != nil {
				return
			}
			heard <- string(buf[:n])
		}
	}()
	t.Cleanup(func() {
		socket.Close()
		for range heard { // until it is closed
		}
	})
	return heard
}

func hears(t *testing.T, heard <-chan string, want string) {
	t.Helper()
	select {
	case got := <-heard:
		if got != want {
			t.Fatalf("systemd heard %q, not %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("systemd did not hear %q", want)
	}
}

// systemd hears of the start, of each sign of health, and of the end.
func TestServeTellsSystemd(t *testing.T) {
	heard := manager(t)
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("WATCHDOG_USEC", "3000") // fed each millisecond
	var asked atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	failure := errors.New("failure")
	ended := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		ended <- Serve(ctx, func(ctx context.Context, ready func()) error {
			<-started
			ready()
			<-ctx.Done()
			return failure
		}, func(context.Context) error {
			if asked.Add(1) > 2 {
				return errors.New("unwell")
			}
			return nil
		})
	}()
	select {
	case got := <-heard:
		t.Fatalf("before the start systemd heard %q", got)
	default:
	}
	close(started)
	hears(t, heard, "READY=1")
	hears(t, heard, "WATCHDOG=1")
	hears(t, heard, "WATCHDOG=1")
	cancel()
	hears(t, heard, "STOPPING=1") // no third one, for it was unwell
	if err := <-ended; !errors.Is(err, failure) {
		t.Errorf("it ended with %v", err)
	}
}

// Outside of systemd nothing is told and nothing is waited for.
func TestServeOutsideOfSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	err := Serve(t.Context(), func(_ context.Context, ready func()) error { ready(); return nil },
		func(context.Context) error { t.Error("it was asked for its health"); return nil })
	if err != nil {
		t.Error(err)
	}
	if IsService() {
		t.Error("it takes itself for a service")
	}
}

// A coordinator that is unwell for a time is not fed in that time.
func TestFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 61*time.Second)
		defer cancel()
		var mu sync.Mutex
		var fed []int
		feed(ctx, 5*time.Second, func(context.Context) error {
			if s := time.Since(begin).Seconds(); s > 12 && s < 32 {
				return errors.New("unwell")
			}
			return nil
		}, func(state string) {
			mu.Lock()
			defer mu.Unlock()
			if state != "WATCHDOG=1" {
				t.Errorf("it said %q", state)
			}
			fed = append(fed, int(time.Since(begin).Seconds()))
		})
		if want := []int{5, 10, 35, 40, 45, 50, 55, 60}; !slices.Equal(fed, want) {
			t.Errorf("it was fed at %v, not %v", fed, want)
		}
	})
}

func TestWatchdogInterval(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		pid, usec string
		want      time.Duration
	}{
		{own, "10000000", 10 * time.Second}, {"", "10000000", 10 * time.Second}, {"1", "10000000", 0},
		{own, "", 0}, {own, "0", 0}, {own, "-5", 0}, {own, "soon", 0},
	} {
		t.Setenv("WATCHDOG_PID", c.pid)
		t.Setenv("WATCHDOG_USEC", c.usec)
		if got := watchdog(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
