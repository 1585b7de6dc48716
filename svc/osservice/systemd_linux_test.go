package osservice

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseShow(t *testing.T) {
	for _, c := range []struct {
		name, out string
		want      State
	}{
		{
			"active",
			"MainPID=42\nLoadState=loaded\nActiveState=active\nSubState=running\nInactiveEnterTimestamp=@5\nActiveEnterTimestamp=@1700000000\n",
			State{Installed: true, Running: true, PID: 42, Since: time.Unix(1700000000, 0), Detail: "active"},
		},
		{
			"never started",
			"MainPID=0\nLoadState=loaded\nActiveState=inactive\nSubState=dead\nInactiveEnterTimestamp=\nActiveEnterTimestamp=\n",
			State{Installed: true, Detail: "inactive"},
		},
		{
			"stopped",
			"MainPID=0\nLoadState=loaded\nActiveState=inactive\nSubState=dead\nInactiveEnterTimestamp=@1700000001\nActiveEnterTimestamp=@5\n",
			State{Installed: true, Since: time.Unix(1700000001, 0), Detail: "inactive"},
		},
		{
			"failed",
			"LoadState=loaded\nActiveState=failed\nSubState=failed\nInactiveEnterTimestamp=@1700000001\n",
			State{Installed: true, Since: time.Unix(1700000001, 0), Detail: "failed"},
		},
		{
			"starting again and again",
			"MainPID=0\nLoadState=loaded\nActiveState=activating\nSubState=auto-restart\n",
			State{Installed: true, Busy: true, Detail: "activating, auto-restart"},
		},
		{
			"stopping",
			"MainPID=42\nLoadState=loaded\nActiveState=deactivating\nSubState=stop-sigterm\n",
			State{Installed: true, Busy: true, Detail: "deactivating, stop-sigterm"},
		},
		{"not installed", "LoadState=not-found\nActiveState=inactive\nSubState=dead\n", State{Detail: "inactive"}},
		{"removed while it runs", "MainPID=42\nLoadState=not-found\nActiveState=active\nSubState=running\n",
			State{Running: true, PID: 42, Detail: "active"}},
		{"masked", "LoadState=masked\nActiveState=inactive\nSubState=dead\n", State{Detail: "inactive"}},
		{"an empty unit", "LoadState=bad-setting\nActiveState=inactive\nSubState=dead\n", State{Detail: "inactive"}},
		{"a timestamp as older systems print it", "LoadState=loaded\nActiveState=active\nMainPID=42\nActiveEnterTimestamp=Mon 2026-11-23 02:01:13 UTC\n",
			State{Installed: true, Running: true, PID: 42, Detail: "active"}},
		{
			"killed, and up again",
			"MainPID=43\nNRestarts=3\nResult=success\nLoadState=loaded\nActiveState=active\nSubState=running\nActiveEnterTimestamp=@1700000000\n",
			State{Installed: true, Running: true, PID: 43, Since: time.Unix(1700000000, 0), Detail: "active", Restarts: 3},
		},
		{
			"failed for good",
			"NRestarts=3\nResult=exit-code\nLoadState=loaded\nActiveState=failed\nSubState=failed\n",
			State{Installed: true, Detail: "failed", Result: "exit-code", Restarts: 3},
		},
		{
			"hangs again and again",
			"NRestarts=1\nResult=watchdog\nLoadState=loaded\nActiveState=activating\nSubState=auto-restart\n",
			State{Installed: true, Busy: true, Detail: "activating, auto-restart", Result: "watchdog", Restarts: 1},
		},
		{
			"stopped, after a restart",
			"NRestarts=1\nResult=success\nLoadState=loaded\nActiveState=inactive\nSubState=dead\n",
			State{Installed: true, Detail: "inactive"},
		},
		{"nothing", "", State{}},
	} {
		if got := parseShow(c.out); got != c.want {
			t.Errorf("%s: %+v, not %+v", c.name, got, c.want)
		}
	}
}

// What the unit must say, and what it must not.
func TestUnit(t *testing.T) {
	var lines []string
	for line := range strings.Lines(unit) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	for line, why := range map[string]string{
		"Restart=always":             "an exit without an error must bring it back too",
		"StartLimitIntervalSec=0":    "systemd must not give up on it, for a port may be taken for an hour",
		"Type=notify":                "`start` must return when people can log in",
		"WatchdogSec=10":             "one that hangs must be ended",
		"DynamicUser=yes":            "it must not run as root",
		"StateDirectory=earshotd":    "DynamicUser leaves it no other directory to write",
		"After=network.target":       "it must be stopped while there is a network to say goodbye over",
		"WantedBy=multi-user.target": "it must start with the computer",
		"RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK":          "systemd is told through AF_UNIX, and AF_NETLINK lists the interfaces",
		"ExecStart={{Path | cmdEscape}}{{range Arguments}} {{. | cmd}}{{end}}": "a path with a space must work",
	} {
		if !slices.Contains(lines, line) {
			t.Errorf("the unit does not say %s: %s", line, why)
		}
	}
	for _, line := range lines {
		if strings.HasPrefix(line, "ProcSubset=") {
			t.Errorf("the unit says %s, which hides somaxconn: Go's listen backlog would fall from 4096 to 128", line)
		}
	}
}

func TestHiddenFromTheService(t *testing.T) {
	for path, hidden := range map[string]bool{
		"/home/ann/earshotd": true, "/root/earshotd": true, "/tmp/earshotd": true, "/var/tmp/a/earshotd": true, "/run/user/1/e": true,
		"/usr/local/bin/earshotd": false, "/opt/home/earshotd": false, "/homes/earshotd": false, "/etc/earshotd.toml": false,
	} {
		err := visible(path)
		if hidden != (err != nil) || hidden && (!errors.Is(err, ErrService) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A file that the service could not use is refused before anything changes.
func TestPrepare(t *testing.T) {
	for _, c := range []struct {
		needs Needs
		want  string
	}{
		{Needs{}, ""},
		{Needs{Config: "/etc/passwd"}, ""},
		{Needs{Config: "/etc/shadow"}, "chmod o+r"},
		{Needs{Config: "/etc/earshotd.toml", Data: "/var/lib/earshotd", DefaultData: "/var/lib/earshotd"}, ""},
		{Needs{Config: "/home/ann/earshotd.toml"}, "/home/ann/earshotd.toml"},
		{Needs{Data: "/srv/earshot", DefaultData: "/var/lib/earshotd"}, "/srv/earshot"},
	} {
		err := systemd{}.prepare(c.needs)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrService) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v", c.needs, err)
		}
	}
}
