package admin

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"
)

// Whoever may not look into the data directory learns who may.
func TestNotAllowed(t *testing.T) {
	data := t.TempDir()
	listener, err := Listen(data)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := os.Chmod(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		// As nobody, on this thread alone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := syscall.Setfsuid(0); err != nil {
				t.Error(err)
			}
		}()
	} else if err := os.Chmod(data, 0); err != nil {
		t.Fatal(err)
	}
	conn, err := dial(t.Context(), data)
	if err == nil {
		conn.Close()
		t.Fatal("it is let in")
	}
	if err := lost(unreachable{err}); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("it gives %v", err)
	}
}
