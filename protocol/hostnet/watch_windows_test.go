package hostnet

import (
	"context"
	"syscall"
	"testing"
	"time"
)

// TestWatchCallbacks plays Windows, which nobody here can carry elsewhere or put
// to sleep: it calls back as iphlpapi and powrprof do.
func TestWatchCallbacks(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan Change, 8)
	ended := make(chan error, 1)
	go func() { ended <- OS.Watch(ctx, func(c Change) { told <- c }) }()
	for begun := false; !begun; { // Watch says in this map that it listens
		watchers.mu.Lock()
		begun = len(watchers.all) > 0
		watchers.mu.Unlock()
		if !Pause(t.Context(), time.Millisecond) {
			t.Fatal("it never began")
		}
	}
	for _, c := range []struct {
		callback uintptr
		event    uintptr
		want     Change
	}{
		{onAddress(), 1, Moved},  // MibAddInstance
		{onAddress(), 2, Moved},  // MibDeleteInstance
		{onResume(), 0x12, Woke}, // PBT_APMRESUMEAUTOMATIC
		{onResume(), 4, ""},      // PBT_APMSUSPEND
		{onAddress(), 3, ""},     // MibInitialNotification
	} {
		if c.callback == onAddress() {
			_, _, _ = syscall.SyscallN(c.callback, 0, 0, c.event)
		} else {
			_, _, _ = syscall.SyscallN(c.callback, 0, c.event, 0)
		}
		patience := 5 * time.Second
		if c.want == "" {
			patience = 200 * time.Millisecond
		}
		select {
		case got := <-told:
			if got != c.want {
				t.Errorf("event %#x is told as %q", c.event, got)
			}
		case <-time.After(patience):
			if c.want != "" {
				t.Errorf("nothing is told of event %#x", c.event)
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
