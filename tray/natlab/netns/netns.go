//go:build linux

// Package netns runs code in a network namespace that `ip netns add` has made.
package netns

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do runs do in a namespace. What do opens there (a socket, a device) stays
// there and may be used from anywhere; goroutines that it starts run outside.
func Do(namespace string, do func() error) error {
	runtime.LockOSThread()
	// This thread's way back: other threads of the process may be elsewhere.
	home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	there, err := os.Open("/run/netns/" + namespace)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering the network namespace %s: %w", namespace, err)
	}
	defer func() {
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			// A thread that can't get back is of no use to anybody else. It
			// ends with its goroutine, for it stays locked to it.
			return
		}
		runtime.UnlockOSThread()
	}()
	return do()
}
