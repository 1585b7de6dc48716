package osservice

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kardianos/service"
)

//go:embed earshotd.openrc
var openrcScript string

// openrc is OpenRC, be it below an init of its own, busybox's or sysvinit.
type openrc struct{ initd }

func (openrc) library() string { return "linux-openrc" }

func (openrc) options() service.KeyValue { return service.KeyValue{"OpenRCScript": openrcScript} }

// commandLine is quoted twice: for the assignment in the script, and for OpenRC, which
// evaluates it.
func (openrc) commandLine(arguments []string) ([]string, error) {
	return line(arguments, func(word string) string { return quote(quote(word)) })
}

func (openrc) remark() string { return "Its log is " + logFile + "." }

func (i openrc) install(s service.Service) error {
	return i.put(s, func() error {
		// The library adds it to the runlevel in which the computer happens to be.
		return command(context.Background(), "rc-update", "add", Name, "default")
	})
}

func (openrc) uninstall() error {
	links, _ := filepath.Glob("/etc/runlevels/*/" + Name)
	for _, link := range links {
		if err := command(context.Background(), "rc-update", "delete", Name, filepath.Base(filepath.Dir(link))); err != nil {
			return err
		}
	}
	return errors.Join(removeIfThere(pidFile), removeIfThere(scriptFile), removeIfThere(scriptAside))
}

func (i openrc) manage(ctx context.Context, _ service.Service, action string) error {
	// One that fails again and again is started as far as OpenRC goes, and one whose
	// supervisor is gone, too.
	if state, err := i.status(); err == nil && state.failing && action == "start" {
		if err := order(ctx, "rc-service", "stop"); err != nil {
			return err
		}
	}
	return order(ctx, "rc-service", action)
}

// status asks OpenRC.
func (i openrc) status() (State, error) {
	if !i.installed() {
		return State{}, nil
	}
	said, code, err := run(context.Background(), "rc-service", "--nocolor", Name, "status")
	if err != nil {
		return State{}, err
	}
	pid, since := serving()
	restarts, _ := os.ReadFile("/run/openrc/options/" + Name + "/start_count")
	return openrcState(code, said, pid, since, number(restarts)), nil
}

// openrcState is what OpenRC's exit code and words (supervise-daemon.sh) come to
// with the process that serves people, 0 if none does, and since when.
func openrcState(code int, said string, pid int, since time.Time, restarts int) State {
	s := State{Installed: true}
	_, s.Detail, _ = strings.Cut(said, "status: ")
	switch code {
	case 0: // it is supervised
		s.Restarts = restarts
		s.Running, s.Busy = pid != 0, pid == 0
		if s.Busy {
			s.Detail, s.failing = "starting", restarts > 0
		}
	case 4, 8, 16: // it stops, starts, or waits for another service
		s.Busy = true
	case 32: // the supervisor is gone
		s.failing = true
	case 64: // it is gone, and the coordinator is not
		s.Running, s.failing = pid != 0, true
	}
	if s.Running {
		s.PID, s.Since = pid, since
	}
	return s
}
