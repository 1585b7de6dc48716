package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// stage owns the processes of the demonstration. It belongs to one goroutine.
type stage struct {
	bin, dir  string
	processes []*process
}

// process is one running program, whose output goes to a file.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// start starts a program that runs until it is told to end.
func (s *stage) start(program string, args ...string) error {
	p := &process{name: program, ended: make(chan struct{})}
	p.log = filepath.Join(s.dir, fmt.Sprintf("%d.log", len(s.processes)))
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = exec.Command(s.program(program), args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A Ctrl-C reaches the demo alone, which ends the others in order.
	p.cmd.SysProcAttr = ownGroup()
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("%s could not be started; `make build` makes it: %w", program, err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	s.processes = append(s.processes, p)
	return nil
}

func (s *stage) program(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(s.bin, name)
}

// end ends every process, the last one started first, and shows what they
// printed if the demonstration failed.
func (s *stage) end(failed bool) error {
	if !failed {
		fmt.Println("\nEnding: everyone logs out, then the coordinator stops.")
	}
	var errs []error
	for _, p := range slices.Backward(s.processes) {
		errs = append(errs, p.end())
		if output, err := os.ReadFile(p.log); failed && err == nil && len(output) > 0 {
			fmt.Fprintf(os.Stderr, "--- %s printed:\n%s", p.name, output)
		}
	}
	return errors.Join(errs...)
}

// end asks the process to end and waits until it has.
func (p *process) end() error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	if err := interrupt(p.cmd.Process); err != nil {
		_ = p.cmd.Process.Kill()
	}
	select {
	case <-p.ended:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end within %v and was killed", p.name, grace)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s ended with exit code %d", p.name, code)
	}
	return nil
}
