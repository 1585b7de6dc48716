package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for another process. It is what a person would
// wait on a busy machine, not what a step should take.
const patience = 30 * time.Second

// process is a program under test; its output is shown if the test fails.
type process struct {
	cmd    *exec.Cmd
	output *buffer
	exited chan struct{}
	err    error // of Wait, once exited is closed
}

func start(t testing.TB, label string, env []string, program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, args...), output: new(buffer), exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.exited) }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s printed:\n%s", label, p.output)
		}
	})
	return p
}

// kill ends the process as a crash would: nothing of it runs any more.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// term asks the process to end and returns its exit code.
func (p *process) term(t testing.TB) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("%v did not end after SIGTERM", p.cmd.Args)
	}
	return p.cmd.ProcessState.ExitCode()
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

// coordinator is earshotd on three ports of the loopback interface.
type coordinator struct {
	*process
	addr    netip.AddrPort
	metrics netip.AddrPort
	dir     string
	env     []string
}

func startCoordinator(t testing.TB) *coordinator {
	t.Helper()
	return startCoordinatorWith(t)
}

// startClassicCoordinator starts one that speaks the classic protocol only, as
// programs in the field do.
func startClassicCoordinator(t testing.TB) *coordinator {
	t.Helper()
	return startCoordinatorWith(t, "EARSHOT_SECURE=false")
}

// startCoordinatorWith starts one with more in its environment.
func startCoordinatorWith(t testing.TB, env ...string) *coordinator {
	t.Helper()
	base := freePorts(t, 4)
	c := &coordinator{
		addr:    netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), base),
		metrics: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), base+3),
		dir:     t.TempDir(),
		env:     env,
	}
	c.start(t)
	return c
}

// command is a command of earshotd's that speaks to the running coordinator.
func (c *coordinator) command(args ...string) *exec.Cmd {
	cmd := exec.Command(earshotd, append(args, "--data", c.dir)...)
	cmd.Env = append(append(cmd.Environ(), "EARSHOT_METRICS_LISTEN="+c.metrics.String()), c.env...)
	return cmd
}

// start starts earshotd, again after an end, and returns when it answers.
func (c *coordinator) start(t testing.TB) {
	t.Helper()
	c.process = start(t, "earshotd", append([]string{"EARSHOT_METRICS_LISTEN=" + c.metrics.String()}, c.env...),
		earshotd, "run", "--listen", c.addr.String(), "--data", c.dir)
	eventually(t, "the coordinator answers on its TCP port", func() bool {
		select {
		case <-c.exited:
			t.Fatalf("earshotd ended: %v\n%s", c.err, c.output)
		default:
		}
		conn, err := net.Dial("tcp", c.addr.String())
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

// freePorts returns the first of n adjacent ports that nobody uses, for UDP
// and TCP.
func freePorts(t testing.TB, n int) uint16 {
	t.Helper()
	for range 200 {
		probe, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		first := probe.LocalAddr().(*net.UDPAddr).Port
		probe.Close()
		if first+n < 65535 && allFree(first, n) {
			return uint16(first)
		}
	}
	t.Fatal("no adjacent free ports found")
	return 0
}

func allFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		u, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		u.Close()
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// eventually polls what another process does, at a boundary where no event can
// be awaited.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		if ok() {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", patience, strings.TrimSpace(what))
		}
	}
}
