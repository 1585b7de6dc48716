package osservice

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The scripts spell out what the program holds as constants.
func TestScriptsAgree(t *testing.T) {
	for name, script := range map[string]string{"sysv": sysvScript, "openrc": openrcScript} {
		for what, text := range map[string]string{
			"the data": "STATE_DIRECTORY=" + stateDir + " ", "the sign of readiness": readyFile, "the process": pidFile, "the log": logFile,
			"the account": account + ":" + account, "an environment of its own": "-i PATH=", "the library's arguments": "{{range Arguments}}",
		} {
			if !strings.Contains(script, text) {
				t.Errorf("the script of %s does not say %s: %s", name, text, what)
			}
		}
	}
	for line, why := range map[string]string{
		`supervisor="supervise-daemon"`: "something must start it again",
		"respawn_max=0":                 "OpenRC must not give up on it, for a port may be taken for an hour",
		`retry="TERM/15/KILL/5"`:        "a stop must have an end",
	} {
		if !strings.Contains(openrcScript, "\n"+line+"\n") {
			t.Errorf("OpenRC's script does not say %s: %s", line, why)
		}
	}
}

// What a command line holds is what the program gets, whatever it means to a shell.
func TestCommandLines(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	odd := []string{"run", "--config", "/etc/a b'c\"d/$HOME/`id`/*.toml", `back\slash`, "", "--listen=:1;ls&", "two\nlines", "ü"}
	want := strings.Join(append([]string{path}, odd...), "|") + "|"
	for name, c := range map[string]struct {
		init   initSystem
		before string // each word, as the template has it
		script string
	}{
		"sysv":   {sysv{}, " ", `set --%s; for a; do printf '%%s|' "$a"; done`},
		"openrc": {openrc{}, "' '", `line=%s; eval "set -- $line"; for a; do printf '%%s|' "$a"; done`},
	} {
		words, err := c.init.commandLine(odd)
		if err != nil {
			t.Fatal(err)
		}
		script := strings.Replace(strings.ReplaceAll(c.script, "%%", "%"), "%s", c.before+strings.Join(words, c.before), 1)
		got, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, not %q (%v)", name, got, want, err)
		}
	}
}

func TestOpenRCState(t *testing.T) {
	since := time.Unix(1700000000, 0)
	for _, c := range []struct {
		name          string
		code          int
		said          string
		pid, restarts int
		want          State
	}{
		{"runs", 0, "* status: started", 7, 0, State{Installed: true, Running: true, PID: 7, Since: since, Detail: "started"}},
		{"runs again", 0, "* status: started", 7, 2, State{Installed: true, Running: true, PID: 7, Since: since, Detail: "started", Restarts: 2}},
		{"starts", 0, "* status: started", 0, 0, State{Installed: true, Busy: true, Detail: "starting"}},
		{"ends again and again", 0, "* status: started", 0, 3, State{Installed: true, Busy: true, Detail: "starting", Restarts: 3, failing: true}},
		{"stopped", 3, "* status: stopped", 0, 3, State{Installed: true, Detail: "stopped"}},
		{"stops", 4, "* status: stopping", 7, 0, State{Installed: true, Busy: true, Detail: "stopping"}},
		{"inactive", 16, "* status: inactive", 0, 0, State{Installed: true, Busy: true, Detail: "inactive"}},
		{"crashed", 32, "* status: crashed", 0, 0, State{Installed: true, Detail: "crashed", failing: true}},
		{"its supervisor was killed", 64, "* status: unsupervised", 7, 0,
			State{Installed: true, Running: true, PID: 7, Since: since, Detail: "unsupervised", failing: true}},
		{"both were killed", 64, "* status: unsupervised", 0, 0, State{Installed: true, Detail: "unsupervised", failing: true}},
		{"nothing that is known", 1, "* rc-service: nonsense", 0, 0, State{Installed: true}},
	} {
		if got := openrcState(c.code, c.said, c.pid, since, c.restarts); got != c.want {
			t.Errorf("%s: %+v, not %+v", c.name, got, c.want)
		}
	}
}

func TestWhoseProcess(t *testing.T) {
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	uid := strconv.Itoa(os.Getuid())
	for _, c := range []struct {
		status, uid string
		want        bool
	}{
		{string(own), uid, true},
		{string(own), uid + "1", false},
		{"State:\tS (sleeping)\nUid:\t999\t0\t0\t0\n", "999", true},
		{"State:\tZ (zombie)\nUid:\t999\t999\t999\t999\n", "999", false},
		{"Uid:\n", "999", false},
		{"", "", false},
	} {
		if got := ownedBy(c.status, c.uid); got != c.want {
			t.Errorf("%q, %s: %v", c.status, c.uid, got)
		}
	}
	for text, want := range map[string]int{"7\n": 7, " 7": 7, "": 0, "-7": 0, "0": 0, "x": 0, "7 8": 0} {
		if got := number([]byte(text)); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestReachable(t *testing.T) {
	open := t.TempDir()
	closed := filepath.Join(t.TempDir(), "closed")
	for dir, mode := range map[string]os.FileMode{open: 0o755, filepath.Dir(open): 0o755, closed: 0o700, filepath.Dir(closed): 0o755} {
		if err := os.MkdirAll(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		file       string
		mode, bits os.FileMode
		want       string
	}{
		{filepath.Join(open, "program"), 0o755, 0o005, ""},
		{filepath.Join(open, "config"), 0o644, 0o004, ""},
		{filepath.Join(open, "secret"), 0o600, 0o004, "chmod o+r`"},
		{filepath.Join(open, "mine"), 0o750, 0o005, "chmod o+rx`"},
		{filepath.Join(closed, "program"), 0o755, 0o005, closed + " is closed"},
		{filepath.Join(open, "missing"), 0, 0o004, ""}, // another's to say
	} {
		if c.mode != 0 {
			if err := os.WriteFile(c.file, nil, c.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(c.file, c.mode); err != nil {
				t.Fatal(err)
			}
		}
		err := reachable(c.file, c.bits)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrService) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", c.file, err)
		}
	}
	if err := (initd{}).program("/tmp/earshotd"); !errors.Is(err, ErrService) {
		t.Errorf("a program in /tmp: %v", err)
	}
	if err := (initd{}).prepare(Needs{Data: "/srv/earshot", DefaultData: stateDir}); !errors.Is(err, ErrService) || !strings.Contains(err.Error(), "/srv/earshot") {
		t.Errorf("data elsewhere: %v", err)
	}
}

// Other inits than systemd see by a file that people are served.
func TestServeNotesThatItIsReady(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ready")
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("READY_FILE", file)
	err := Serve(t.Context(), func(_ context.Context, ready func()) error {
		if _, err := os.Stat(file); err == nil {
			t.Error("it says that it is ready, and is not")
		}
		ready()
		text, err := os.ReadFile(file)
		if err != nil || string(text) != strconv.Itoa(os.Getpid()) {
			t.Errorf("it notes %q, %v", text, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("who isn't root can't see it: %v, %v", info, err)
		}
		return nil
	}, nil)
	if err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("after its end it says that it is ready")
	}
}

// What a program of the system says and how it ends.
func TestRun(t *testing.T) {
	if said, code, err := run(t.Context(), "sh", "-c", "echo a; echo b >&2; exit 32"); said != "a b" || code != 32 || err != nil {
		t.Errorf("%q, %d, %v", said, code, err)
	}
	// A daemon that is left behind does not keep it.
	began := time.Now()
	if said, code, err := run(t.Context(), "sh", "-c", "sleep 20 & echo done"); said != "done" || code != 0 || err != nil || time.Since(began) > 15*time.Second {
		t.Errorf("%q, %d, %v after %v", said, code, err, time.Since(began))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := run(ctx, "sleep", "20"); !errors.Is(err, ErrTimeout) {
		t.Errorf("what takes too long: %v", err)
	}
	if _, _, err := run(t.Context(), "there-is-no-such-program"); !errors.Is(err, ErrService) || !strings.Contains(err.Error(), "there-is-no-such-program is not here") {
		t.Errorf("what is not there: %v", err)
	}
	if err := command(t.Context(), "sh", "-c", "echo why; exit 1"); !errors.Is(err, ErrService) || !strings.Contains(err.Error(), "why") {
		t.Errorf("what fails: %v", err)
	}
}
