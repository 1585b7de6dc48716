// Package osservice makes the coordinator a service of the operating system. It
// wraps github.com/kardianos/service, which registers services with many
// systems, where that library's own ways would surprise an administrator: an
// interrupted installation is mended, a second one brings the service up to
// date, uninstalling stops first, and every wait has an end.
//
// systemd and Windows are what is supported, and on Linux OpenRC and SysV's init,
// which were tried on Debian; where none of these runs nothing is installed. On
// other systems the library is used as it is (launchd), and nothing was tested there.
package osservice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kardianos/service"
)

const (
	// Name is the service's name.
	Name        = "earshotd"
	displayName = "Earshot coordinator"
	description = "Earshot coordinator: knows who is online and introduces people to each other"
)

var (
	// ErrService is the family of what can go wrong with a service. The texts
	// are sentences.
	ErrService = errors.New("service")
	// ErrNotInstalled is a call for a service that is not there.
	ErrNotInstalled = fmt.Errorf("%w: earshotd is not installed as a service; `earshotd install` does that", ErrService)
	// ErrUnsupported is a system on which nothing can be installed.
	ErrUnsupported = fmt.Errorf("%w: unsupported", ErrService)
	// ErrTimeout is an operation that did not end in time.
	ErrTimeout = fmt.Errorf("%w: timeout", ErrService)
)

const (
	startLimit = 30 * time.Second
	stopLimit  = 30 * time.Second
)

// State is what is known of the service.
type State struct {
	Installed bool
	Running   bool
	// Busy says that it neither runs nor rests: it starts, stops, or waits to
	// be started again after a failure.
	Busy   bool
	PID    int       // 0 if it does not run or the system doesn't tell
	Since  time.Time // when it came into this state; zero if the system doesn't tell
	Detail string    // the service manager's own word, such as "failed"
	// Result is why it ended without being asked to, in the service manager's word,
	// such as "exit-code". Empty if it did not, or the system doesn't tell.
	Result string
	// Restarts is how often the service manager has started it again since it was
	// last asked to start it. 0 if the system doesn't tell.
	Restarts int
	// failing says that it has ended by itself since it was started, or what starts
	// it again has.
	failing bool
}

// String is a sentence.
func (s State) String() string {
	switch {
	case !s.Installed:
		return "earshotd is not installed as a service."
	case s.Running && s.failing:
		return fmt.Sprintf("earshotd is running, as process %d, but nothing looks after it (%s); `earshotd restart` mends that.", s.PID, s.Detail)
	case s.Running && s.PID != 0 && !s.Since.IsZero():
		return fmt.Sprintf("earshotd is running since %s, as process %d%s.", s.Since.Local().Format(time.DateTime), s.PID, s.restarted())
	case s.Running:
		return "earshotd is running" + s.restarted() + "."
	case s.Result != "":
		return fmt.Sprintf("earshotd is installed and not running: %s (%s)%s.", s.Detail, s.Result, s.restarted())
	case s.Detail != "":
		return fmt.Sprintf("earshotd is installed and not running (%s%s).", s.Detail, s.restarted())
	}
	return "earshotd is installed and not running."
}

func (s State) restarted() string {
	switch s.Restarts {
	case 0:
		return ""
	case 1:
		return ", restarted once"
	}
	return fmt.Sprintf(", restarted %d times", s.Restarts)
}

// config is what the library is told everywhere. arguments are those of the
// service's command line.
func config(arguments []string) *service.Config {
	return &service.Config{Name: Name, DisplayName: displayName, Description: description, Arguments: arguments}
}

// Needs are the files that a service is to use. Empty ones are not needed.
type Needs struct {
	// Config is the configuration's absolute path.
	Config string
	// Data is the data directory, and DefaultData the one it would be if
	// nobody had said.
	Data, DefaultData string
}

// Install registers the service to start with the system, with a command line
// of arguments. On one that is installed it brings the registration up to
// date, and leaves it running or stopped as it was. It refuses what the
// service could not use.
func Install(arguments []string, needs Needs) error {
	if err := supported(); err != nil {
		return err
	}
	if err := prepare(needs); err != nil {
		return err
	}
	s, err := newService(arguments)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	return install(s)
}

// Start starts the service and returns when it runs.
func Start() error {
	return control("start", startLimit, func(s State) bool { return s.Running })
}

// Stop stops the service and returns when it has ended.
func Stop() error {
	return control("stop", stopLimit, func(s State) bool { return !s.Running && !s.Busy })
}

// Restart stops the service if it runs, and starts it.
func Restart() error {
	if err := Stop(); err != nil {
		return err
	}
	return Start()
}

// Uninstall stops the service and removes its registration. The coordinator's
// data stays.
func Uninstall() error {
	state, err := Status()
	if err != nil {
		return err
	}
	if !state.Installed {
		return ErrNotInstalled
	}
	if err := removable(); err != nil {
		return err
	}
	if state.Running || state.Busy {
		if err := Stop(); err != nil {
			return err
		}
	}
	return uninstall()
}

// control asks for an action and waits until the state shows its success.
func control(action string, limit time.Duration, done func(State) bool) error {
	state, err := Status()
	if err != nil {
		return err
	}
	if !state.Installed {
		return ErrNotInstalled
	}
	if done(state) && !state.failing { // what is left of one that failed is cleared up
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	// The library's own calls may wait for ever, so they get a goroutine that
	// this process does not outlive.
	result := make(chan error, 1)
	go func() { result <- manage(ctx, action) }()
	select {
	case err := <-result:
		if err != nil {
			return fmt.Errorf("%w: the service did not %s: %w; %s", ErrService, action, err, whereLogsAre())
		}
	case <-ctx.Done():
		return fmt.Errorf("%w: the service did not %s within %v; %s", ErrTimeout, action, limit, whereLogsAre())
	}
	return await(ctx, action, done)
}

// await polls the service manager, which has no event to wait for.
func await(ctx context.Context, action string, done func(State) bool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		state, err := Status()
		if err != nil {
			return err
		}
		if done(state) {
			return nil
		}
		if state.failing {
			return fmt.Errorf("%w: the service did not %s, for it has ended by itself; %s", ErrService, action, whereLogsAre())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: the service did not %s in time; %s", ErrTimeout, action, whereLogsAre())
		}
	}
}

// program is the library's idea of a service. Only Serve runs one.
type program struct {
	start func() error
	stop  func() error
}

func (p program) Start(service.Service) error {
	if p.start == nil {
		return nil
	}
	return p.start()
}

func (p program) Stop(service.Service) error {
	if p.stop == nil {
		return nil
	}
	return p.stop()
}
