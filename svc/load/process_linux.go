package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a server that runs on a processor of its own.
type Process struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	ended  chan struct{}
}

// Pin keeps this process, and what it starts from now on, to some of the
// machine's processors.
func Pin(processors ...int) error {
	threads, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLoad, err)
	}
	for _, thread := range threads {
		id, _ := strconv.Atoi(filepath.Base(thread))
		if err := setAffinity(id, processors); err != nil {
			return err
		}
	}
	return nil
}

func setAffinity(thread int, processors []int) error {
	var set unix.CPUSet
	for _, p := range processors {
		set.Set(p)
	}
	if err := unix.SchedSetaffinity(thread, &set); err != nil {
		return fmt.Errorf("%w: this system does not let a process have its own processor: %w", ErrLoad, err)
	}
	return nil
}

// Files has this process, and what it starts from now on, have so many files
// open at once.
func Files(n uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%w: %w", ErrLoad, err)
	}
	most := limit.Max
	limit.Cur, limit.Max = max(limit.Cur, n), max(limit.Max, n)
	// Always set, since Go gives its children the old limit otherwise.
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%w: this takes %d open files and the system allows %d; it must allow more, or there must be fewer clients: %w", ErrLoad, n, most, err)
	}
	return nil
}

// Start starts a program on the given processors. What it writes is kept for
// Output.
func Start(processors []int, program string, arguments ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(program, arguments...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	return p, p.start(processors)
}

func (p *Process) start(processors []int) error {
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// A child has the processors of the thread that starts it, and ends
		// with that thread, which therefore waits for it and is not used again.
		runtime.LockOSThread()
		err := setAffinity(0, processors)
		if err == nil {
			err = p.cmd.Start()
		}
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("%w: %w", ErrLoad, err)
	}
	return nil
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends it at once, and Stop as a service manager does.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Stop ends it as a service manager does, and returns what it said if it
// doesn't end in time.
func (p *Process) Stop(ctx context.Context) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%w: %s did not end in time", ErrLoad, filepath.Base(p.cmd.Path))
	}
}

// Signal sends it a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Ended is closed when it has ended. Output may be called from then on.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Output is what it has written.
func (p *Process) Output() string { return p.output.String() }

// CPU is the processor time that its threads have used. Of a thread that has
// ended, which servers seldom have, nothing is known any more.
func (p *Process) CPU() time.Duration {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.PID()))
	var sum int64
	for _, file := range files {
		b, _ := os.ReadFile(file)
		used, _, _ := strings.Cut(string(b), " ")
		ns, _ := strconv.ParseInt(used, 10, 64)
		sum += ns
	}
	return time.Duration(sum)
}

// Rested is how long processors have had nothing to do, all together, since the
// machine was started; it is told in steps of 10 ms.
func Rested(processors ...int) time.Duration {
	b, _ := os.ReadFile("/proc/stat")
	var ticks int64
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		for _, p := range processors {
			if len(fields) > 5 && fields[0] == fmt.Sprintf("cpu%d", p) {
				for _, idle := range fields[4:6] { // the second is idle time in which a disk is waited for
					n, _ := strconv.ParseInt(idle, 10, 64)
					ticks += n
				}
			}
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// Memory is its resident memory in bytes, without what it shares with others.
func (p *Process) Memory() int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kB, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kB << 10
		}
	}
	return 0
}

// Talking is a process whose input and output are lines of a conversation.
type Talking struct {
	*Process
	in  io.WriteCloser
	out *bufio.Scanner
}

// StartTalking is Start for such a process.
func StartTalking(processors []int, program string, arguments ...string) (*Talking, error) {
	p := &Process{cmd: exec.Command(program, arguments...), ended: make(chan struct{})}
	in, err1 := p.cmd.StdinPipe()
	out, err2 := p.cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLoad, err)
	}
	p.cmd.Stderr = os.Stderr
	return &Talking{p, in, bufio.NewScanner(out)}, p.start(processors)
}

// Say sends a line.
func (t *Talking) Say(format string, arguments ...any) error {
	_, err := fmt.Fprintf(t.in, format+"\n", arguments...)
	return err
}

// Line returns the next one.
func (t *Talking) Line() (string, error) {
	if !t.out.Scan() {
		return "", fmt.Errorf("%w: the conversation has ended: %w", ErrLoad, errors.Join(t.out.Err(), io.EOF))
	}
	return t.out.Text(), nil
}
