package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for another process before it fails.
const patience = 20 * time.Second

// binary is earshotd as it is delivered.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "earshotd-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "earshotd")
		if runtime.GOOS == "windows" {
			binary += ".exe"
		}
		build := exec.Command("go", "build", "-o", binary, "-ldflags", "-X main.version=1.2.3-test", ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building earshotd: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// ports finds three adjacent ports that are free for UDP and TCP, and one more
// for health and metrics.
func ports(t *testing.T) (base netip.AddrPort, metrics netip.AddrPort) {
	t.Helper()
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	for range 100 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := netip.MustParseAddrPort(first.Addr().String()).Port()
		first.Close()
		if port > 65532 {
			continue
		}
		free := true
		for i := range uint16(4) {
			at := netip.AddrPortFrom(loopback, port+i).String()
			l, err := net.Listen("tcp", at)
			if err != nil {
				free = false
				break
			}
			l.Close()
			c, err := net.ListenPacket("udp", at)
			if err != nil {
				free = false
				break
			}
			c.Close()
		}
		if free {
			return netip.AddrPortFrom(loopback, port), netip.AddrPortFrom(loopback, port+3)
		}
	}
	t.Fatal("no three adjacent ports are free")
	return
}

// command prepares earshotd with none of the environment's settings.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "EARSHOT_") && !strings.HasPrefix(e, "XDG_") && !strings.HasPrefix(e, "NOTIFY_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.Dir = t.TempDir()
	return cmd
}

// outcome is how a run of earshotd ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// try runs earshotd to its end.
func try(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	cmd := command(t, env, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatal(err)
		}
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// complains checks that o failed with a code and one line that names all of
// parts and has no prefix that is there for the program's own use.
func (o outcome) complains(t *testing.T, code int, parts ...string) {
	t.Helper()
	line := strings.TrimSpace(o.stderr)
	if o.code != code || o.stderr == "" {
		t.Errorf("it ended with %d and said\n%s%s", o.code, o.stdout, o.stderr)
		return
	}
	if code == exitUsage {
		line, _, _ = strings.Cut(line, "\n")
	}
	if strings.Contains(line, "\n") || !strings.HasPrefix(line, "earshotd: ") || !strings.HasSuffix(line, ".") {
		t.Errorf("this is not one sentence:\n%s", o.stderr)
	}
	for _, internal := range []string{"usage:", "service:", "port taken:", "timeout:", "goroutine", "can't be used:", "%!"} {
		if strings.Contains(line, internal) {
			t.Errorf("%q is in %q", internal, line)
		}
	}
	for _, part := range parts {
		if !strings.Contains(line, part) {
			t.Errorf("%q is not in %q", part, line)
		}
	}
	t.Log(line)
}

// process is an earshotd that runs.
type process struct {
	t   *testing.T
	cmd *exec.Cmd

	mu      sync.Mutex
	lines   []string
	changed chan struct{} // closed and replaced with each line
	done    chan struct{} // closed when it has ended
}

// start runs earshotd until the test ends it, and returns when it serves.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: command(t, env, args...), changed: make(chan struct{}), done: make(chan struct{})}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			close(p.changed)
			p.changed = make(chan struct{})
			p.mu.Unlock()
		}
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.done })
	p.logged("the coordinator serves")
	return p
}

// logged waits for a line of the log that has message, and returns it as the
// JSON that it must be.
func (p *process) logged(message string) map[string]any {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		changed, lines := p.changed, p.lines
		p.mu.Unlock()
		for _, line := range lines {
			var entry map[string]any
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				p.t.Fatalf("this line of the log is not JSON: %s", line)
			}
			if text, _ := entry["msg"].(string); strings.Contains(text, message) {
				return entry
			}
		}
		select {
		case <-changed:
		case <-p.done:
			p.t.Fatalf("it ended with %d and without logging %q:\n%s", p.cmd.ProcessState.ExitCode(), message, strings.Join(lines, "\n"))
		case <-deadline:
			p.t.Fatalf("it never logged %q:\n%s", message, strings.Join(lines, "\n"))
		}
	}
}

// end sends a signal and returns the exit code.
func (p *process) end(s syscall.Signal) int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("it does not end after %v", s)
	}
	return p.cmd.ProcessState.ExitCode()
}
