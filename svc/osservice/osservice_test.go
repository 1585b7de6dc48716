package osservice

import (
	"testing"
	"time"
)

func TestStateIsASentence(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	for _, c := range []struct {
		state State
		want  string
	}{
		{State{}, "earshotd is not installed as a service."},
		{State{Running: true, PID: 7}, "earshotd is not installed as a service."},
		{State{Installed: true, Running: true, PID: 7, Since: since}, "earshotd is running since 2026-01-02 03:04:05, as process 7."},
		{State{Installed: true, Running: true, PID: 7}, "earshotd is running."},
		{State{Installed: true, Running: true, PID: 7, Since: since, Restarts: 1}, "earshotd is running since 2026-01-02 03:04:05, as process 7, restarted once."},
		{State{Installed: true, Running: true, Restarts: 2}, "earshotd is running, restarted 2 times."},
		{State{Installed: true, Running: true, PID: 7, Since: since, Detail: "unsupervised", failing: true},
			"earshotd is running, as process 7, but nothing looks after it (unsupervised); `earshotd restart` mends that."},
		{State{Installed: true, Detail: "failed", Result: "exit-code", Restarts: 3}, "earshotd is installed and not running: failed (exit-code), restarted 3 times."},
		{State{Installed: true, Detail: "failed", Result: "timeout"}, "earshotd is installed and not running: failed (timeout)."},
		{State{Installed: true, Detail: "starting", Restarts: 4}, "earshotd is installed and not running (starting, restarted 4 times)."},
		{State{Installed: true, Detail: "failed"}, "earshotd is installed and not running (failed)."},
		{State{Installed: true}, "earshotd is installed and not running."},
	} {
		if got := c.state.String(); got != c.want {
			t.Errorf("%#v is %q, not %q", c.state, got, c.want)
		}
	}
}
