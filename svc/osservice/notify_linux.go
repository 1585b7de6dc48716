package osservice

import (
	"context"
	"net"
	"os"
	"strconv"
	"time"
)

// Serve runs the coordinator as its service manager wants it: run gets a
// function to call when it is ready, and healthy is asked before the watchdog
// is fed. Outside of a service it just runs.
//
// The protocol is three datagrams, so a library would be more than what it
// spares (sd_notify(3)).
func Serve(ctx context.Context, run func(ctx context.Context, ready func()) error, healthy func(context.Context) error) error {
	defer notify("STOPPING=1")
	defer tellReady(false)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fed := make(chan struct{})
	close(fed)
	err := run(ctx, func() {
		notify("READY=1")
		tellReady(true)
		if interval := watchdog(); interval > 0 {
			fed = make(chan struct{})
			go func() { defer close(fed); feed(ctx, interval/3, healthy, notify) }()
		}
	})
	cancel()
	<-fed
	return err
}

// watchdog is how often systemd wants to hear from this process; 0: never.
func watchdog() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

// feed tells systemd, until ctx ends, that all is well for as long as it is.
func feed(ctx context.Context, every time.Duration, healthy func(context.Context) error, tell func(state string)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if healthy(ctx) == nil {
			tell("WATCHDOG=1")
		}
	}
}

// notify sends a line to systemd, if that wants to hear any.
func notify(state string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		return // not under systemd any more; nobody waits for it
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(state))
}

// tellReady notes this process in the file that the scripts of other inits than
// systemd name, for as long as it serves people. They have nobody else to tell.
func tellReady(ready bool) {
	file := os.Getenv("READY_FILE")
	switch {
	case file == "":
	case !ready:
		_ = os.Remove(file)
	default: // without it the service is not seen to run, and it runs nevertheless
		if os.WriteFile(file+".new", []byte(strconv.Itoa(os.Getpid())), 0o644) == nil { //nolint:gosec // everybody may ask for the service's state
			_ = os.Chmod(file+".new", 0o644) //nolint:gosec // the umask is narrower
			_ = os.Rename(file+".new", file)
		}
	}
}

// IsService says whether a service manager started this process.
func IsService() bool { return os.Getenv("INVOCATION_ID") != "" && os.Getenv("NOTIFY_SOCKET") != "" }
