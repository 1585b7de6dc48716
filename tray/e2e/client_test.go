package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot/tray/chat"
)

// client is a headless earshot with a profile of its own, and `earshot watch`
// beside it, through which the test sees what the client sees.
type client struct {
	*process
	name    string
	profile string
	env     []string
	server  string
	mode    []string // how it runs: --headless, or nothing for the tray
	args    []string

	mu     sync.Mutex
	events []chat.Event
	more   chan struct{} // closed and replaced at every event
}

// startClient starts a client and returns once it is online. encoding is as
// the --encoding flag takes it.
func startClient(t testing.TB, c *coordinator, name, encoding string) *client {
	t.Helper()
	k := newClient(t, c, name)
	k.args = append(k.args, "--encoding", encoding)
	k.start(t)
	return k
}

// newClient returns a client with a profile of its own that isn't started. Its
// key is not put into the keyring of whoever runs the test.
func newClient(t testing.TB, c *coordinator, name string) *client {
	t.Helper()
	dir := t.TempDir()
	k := &client{
		name: name, profile: filepath.Join(dir, "profile"), server: c.addr.String(),
		env:  []string{"XDG_RUNTIME_DIR=" + dir, "HOME=" + dir, "LANG=C.UTF-8", "LANGUAGE="},
		mode: []string{"--headless"},
		args: []string{"--name", name},
	}
	if err := os.Mkdir(k.profile, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(k.profile, "settings.toml"), []byte("keyring = 'off'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// start starts the client, again after an end, and returns when it is online.
func (k *client) start(t testing.TB) {
	t.Helper()
	k.launch(t)
	k.wait(t, "online", func(e chat.Event) bool {
		return e.Status != nil && e.Status.Connection == chat.Online
	})
}

// launch starts the client, who may not come online.
func (k *client) launch(t testing.TB) {
	t.Helper()
	args := slices.Concat([]string{"run", "--profile", k.profile, "--server", k.server}, k.mode, k.args)
	k.process = start(t, "earshot "+k.name, k.env, earshot, args...)
	k.mu.Lock()
	k.events, k.more = nil, make(chan struct{})
	k.mu.Unlock()
	k.watch(t)
}

// watch runs `earshot watch --json` until the client or the test ends.
func (k *client) watch(t testing.TB) {
	t.Helper()
	var lines *bufio.Scanner
	eventually(t, k.name+" opens its local API", func() bool {
		select {
		case <-k.exited:
			t.Fatalf("earshot ended: %v\n%s", k.err, k.output)
		default:
		}
		cmd := k.command("watch", "--json")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines = bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20)
		if !lines.Scan() { // the snapshot is missing: nobody there yet
			_ = cmd.Wait()
			return false
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return true
	})
	k.record(t, lines.Bytes())
	go func() {
		for lines.Scan() {
			k.record(t, lines.Bytes())
		}
	}()
}

func (k *client) record(t testing.TB, line []byte) {
	var e chat.Event
	if err := json.Unmarshal(line, &e); err != nil {
		t.Errorf("%s: watch --json printed %q: %v", k.name, line, err)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, e)
	close(k.more)
	k.more = make(chan struct{})
}

// wait returns the first event, of all since the client's start, that ok
// accepts.
func (k *client) wait(t testing.TB, what string, ok func(chat.Event) bool) chat.Event {
	t.Helper()
	deadline := time.After(patience)
	for seen := 0; ; {
		k.mu.Lock()
		events, more := k.events, k.more
		k.mu.Unlock()
		for ; seen < len(events); seen++ {
			if ok(events[seen]) {
				return events[seen]
			}
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("%s did not see within %v: %s", k.name, patience, what)
		}
	}
}

// mark forgets what was seen so far, so that wait sees what comes from now on.
func (k *client) mark() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = nil
}

// waitMessage waits for a message, which may have come before anybody watched.
func (k *client) waitMessage(t testing.TB, from, text string) chat.Message {
	t.Helper()
	history := k.history(t, from)
	i := slices.IndexFunc(history, func(m chat.Message) bool {
		return m.State == chat.Received && m.Sender == from && m.Text == text
	})
	if i >= 0 {
		return history[i]
	}
	e := k.wait(t, "the message "+text+" from "+from, func(e chat.Event) bool {
		return e.Type == chat.EventMessage && e.Message.State == chat.Received && e.Message.Sender == from && e.Message.Text == text
	})
	return *e.Message
}

func (k *client) waitOnline(t testing.TB, name string, online bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		k.mu.Lock()
		more := k.more
		k.mu.Unlock()
		found := false
		for _, p := range k.roster(t) {
			found = found || p.Name == name && p.Online
		}
		if found == online {
			return
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("%s: %s online = %v, not %v within %v", k.name, name, found, online, patience)
		}
	}
}

func (k *client) command(args ...string) *exec.Cmd {
	cmd := exec.Command(earshot, append(args[:1:1], append([]string{"--profile", k.profile}, args[1:]...)...)...)
	cmd.Env = append(cmd.Environ(), k.env...)
	return cmd
}

// run runs a command of the client's and returns what it printed and its exit
// code.
func (k *client) run(args ...string) (stdout, stderr string, code int) {
	cmd := k.command(args...)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return "", err.Error(), -1
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// must is run for a command that has to succeed.
func (k *client) must(t testing.TB, args ...string) string {
	t.Helper()
	out, errOut, code := k.run(args...)
	if code != 0 {
		t.Fatalf("%s: earshot %s: exit code %d: %s", k.name, strings.Join(args, " "), code, errOut)
	}
	return out
}

func (k *client) roster(t testing.TB) []chat.Person {
	t.Helper()
	var people []chat.Person
	if err := json.Unmarshal([]byte(k.must(t, "roster", "--json")), &people); err != nil {
		t.Fatal(err)
	}
	return people
}

func (k *client) history(t testing.TB, peer string, flags ...string) []chat.Message {
	t.Helper()
	var messages []chat.Message
	if err := json.Unmarshal([]byte(k.must(t, append([]string{"history", peer, "--json"}, flags...)...)), &messages); err != nil {
		t.Fatal(err)
	}
	return messages
}

func (k *client) status(t testing.TB) chat.Status {
	t.Helper()
	var s chat.Status
	if err := json.Unmarshal([]byte(k.must(t, "status", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}
