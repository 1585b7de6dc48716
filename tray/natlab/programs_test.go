//go:build linux

package natlab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"earshot/tray/chat"
)

// patience bounds every wait for another process. It is what a person would
// wait on a busy machine, not what a step should take.
const patience = 30 * time.Second

// process is a program in a lab; its output is shown if the test fails.
type process struct {
	cmd    *exec.Cmd
	output *buffer
	exited chan struct{}
}

func (l *lab) start(label string, cmd *exec.Cmd, env ...string) *process {
	l.t.Helper()
	p := &process{cmd: cmd, output: new(buffer), exited: make(chan struct{})}
	cmd.Env = append(environment(), env...)
	cmd.Stdout, cmd.Stderr = p.output, p.output
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(p.exited) }()
	l.t.Cleanup(func() {
		p.kill()
		if l.t.Failed() {
			l.t.Logf("%s printed:\n%s", label, p.output)
		}
	})
	return p
}

// environment is this process's without what would lead out of the lab.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(strings.ToLower(v), "=")
		return strings.HasSuffix(name, "_proxy") || strings.HasPrefix(name, "earshot_")
	})
}

// kill ends the process as a crash would: nothing of it runs any more.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// term asks the process to end, and waits until it has.
func (p *process) term(t testing.TB) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("%v did not end after SIGTERM", p.cmd.Args)
	}
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// buffer is a bytes.Buffer that a process may write while a test reads.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// coordinator is earshotd on the public network.
type coordinator struct {
	*process
	lab *lab
	dir string
}

func (l *lab) startCoordinator() *coordinator {
	l.t.Helper()
	c := &coordinator{lab: l, dir: l.t.TempDir()}
	c.start()
	return c
}

// start starts earshotd, again after an end, and returns when it answers.
func (c *coordinator) start() {
	c.lab.t.Helper()
	c.process = c.lab.start("earshotd", c.lab.command(c.lab.pub, earshotd, "run", "--listen", ":13277", "--data", c.dir),
		"EARSHOT_METRICS_LISTEN=off", "EARSHOT_WEB_LISTEN=:443")
	c.lab.eventually("the coordinator listens", func() bool {
		if c.ended() {
			c.lab.t.Fatalf("earshotd ended:\n%s", c.output)
		}
		return c.lab.listens(c.lab.pub, 13277)
	})
}

// client is a headless earshot with a profile of its own, and `earshot watch`
// beside it, through which the test sees what the client sees.
type client struct {
	*process
	side    *side
	name    string
	profile string
	env     []string

	mu     sync.Mutex
	events []seen
	more   chan struct{} // closed and replaced at every event
}

// seen is an event and when it was seen.
type seen struct {
	chat.Event
	at time.Time
}

// startClient starts a client on a side and returns once it is online.
func (s *side) startClient(name string) *client {
	t := s.lab.t
	t.Helper()
	dir := t.TempDir()
	k := &client{
		side: s, name: name, profile: filepath.Join(dir, "profile"),
		env: []string{"XDG_RUNTIME_DIR=" + dir, "HOME=" + dir, "LANG=C.UTF-8", "LANGUAGE="},
	}
	if err := os.Mkdir(k.profile, 0o700); err != nil {
		t.Fatal(err)
	}
	// Its key is not put into the keyring of whoever runs the test.
	if err := os.WriteFile(filepath.Join(k.profile, "settings.toml"), []byte("keyring = 'off'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.start()
	return k
}

// start starts the client, again after an end, and returns when it is online.
func (k *client) start() {
	t := k.side.lab.t
	t.Helper()
	run := k.side.lab.command(k.side.host, earshot, "run", "--headless", "--profile", k.profile, "--server", serverName+":13277", "--name", k.name)
	k.process = k.side.lab.start("earshot "+k.name, run, k.env...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s's log:\n%s", k.name, k.log())
		}
	})
	k.mu.Lock()
	k.events, k.more = nil, make(chan struct{})
	k.mu.Unlock()
	k.watch()
	k.wait("that it is online", func(e chat.Event) bool {
		return e.Status != nil && e.Status.Connection == chat.Online
	})
}

// log is what the client has logged.
func (k *client) log() string {
	text, _ := os.ReadFile(filepath.Join(k.profile, "earshot.log")) // none yet is empty
	return string(text)
}

// say sends a message and returns, with the time of the click, when the client
// has it: it may not be able to send it yet.
func (k *client) say(peer, text string) seen {
	k.side.lab.t.Helper()
	cmd := k.command("send", peer, text)
	if err := cmd.Start(); err != nil {
		k.side.lab.t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }() // it waits for the delivery, and is killed with the test
	k.side.lab.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return k.waitMessage(text, chat.Sending, chat.Sent, chat.Delivered, chat.Read)
}

// watch runs `earshot watch --json` until the client or the test ends.
func (k *client) watch() {
	t := k.side.lab.t
	t.Helper()
	var lines *bufio.Scanner
	k.side.lab.eventually(k.name+" opens its local API", func() bool {
		if k.ended() {
			t.Fatalf("earshot ended:\n%s", k.output)
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
	k.record(lines.Bytes())
	go func() {
		for lines.Scan() {
			k.record(lines.Bytes())
		}
	}()
}

func (k *client) record(line []byte) {
	e := seen{at: time.Now()}
	if err := json.Unmarshal(line, &e.Event); err != nil {
		k.side.lab.t.Errorf("%s: watch --json printed %q: %v", k.name, line, err)
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
func (k *client) wait(what string, ok func(chat.Event) bool) seen {
	k.side.lab.t.Helper()
	deadline := time.After(patience)
	for i := 0; ; {
		k.mu.Lock()
		events, more := k.events, k.more
		k.mu.Unlock()
		for ; i < len(events); i++ {
			if ok(events[i].Event) {
				return events[i]
			}
		}
		select {
		case <-more:
		case <-deadline:
			k.side.lab.t.Fatalf("%s did not see within %v: %s", k.name, patience, what)
		}
	}
}

// waitMessage waits for the client's own message of a text to be in a state,
// or for one that it has received.
func (k *client) waitMessage(text string, states ...chat.State) seen {
	k.side.lab.t.Helper()
	return k.wait("the message "+text+" as "+string(states[0]), func(e chat.Event) bool {
		return e.Message != nil && e.Message.Text == text && slices.Contains(states, e.Message.State)
	})
}

// waitOnline waits until somebody is on the roster.
func (k *client) waitOnline(name string) {
	k.side.lab.t.Helper()
	k.side.lab.eventually(k.name+" sees "+name, func() bool {
		return slices.ContainsFunc(k.roster(), func(p chat.Person) bool { return p.Name == name && p.Online && !p.Stale })
	})
}

// command speaks to the client through its local API, for which no network
// matters.
func (k *client) command(args ...string) *exec.Cmd {
	cmd := exec.Command(earshot, append(args[:1:1], append([]string{"--profile", k.profile}, args[1:]...)...)...)
	cmd.Env = append(environment(), k.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// must runs a command that has to succeed.
func (k *client) must(args ...string) string {
	k.side.lab.t.Helper()
	return k.side.lab.must(k.command(args...))
}

func (k *client) roster() []chat.Person {
	k.side.lab.t.Helper()
	return decode[[]chat.Person](k.side.lab.t, k.must("roster", "--json"))
}

func (k *client) history(peer string) []chat.Message {
	k.side.lab.t.Helper()
	return decode[[]chat.Message](k.side.lab.t, k.must("history", peer, "--json", "--limit", "500"))
}

func decode[T any](t testing.TB, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// eventually polls what another process does, at a boundary where no event can
// be awaited, and returns how long that took.
func (l *lab) eventually(what string, ok func() bool) time.Duration {
	l.t.Helper()
	began := time.Now()
	if !within(patience, ok) {
		l.t.Fatalf("not within %v: %s", patience, what)
	}
	return time.Since(began)
}

// within polls for a time at most.
func within(limit time.Duration, ok func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
