//go:build !linux && !windows

package osservice

import (
	"context"
	"errors"
	"fmt"

	"github.com/kardianos/service"
)

func whereLogsAre() string { return "look into the system's log" }

func newService(arguments []string) (service.Service, error) {
	return service.New(program{}, config(arguments))
}

// manage has the service manager start or stop the service.
func manage(_ context.Context, action string) error {
	s, err := newService(nil)
	if err != nil {
		return err
	}
	return service.Control(s, action)
}

// Remark returns nothing: there is nothing that an administrator has to know.
func Remark() string { return "" }

// Purge does nothing: Install has made nothing but the registration.
func Purge() error { return nil }

// InstallRestarts says that Install starts a running service anew.
const InstallRestarts = false

func supported() error { return nil }

func prepare(Needs) error { return nil }

func install(s service.Service) error {
	if err := s.Install(); err != nil {
		return fmt.Errorf("%w: the service could not be installed: %w", ErrService, err)
	}
	return nil
}

func uninstall() error {
	s, err := newService(nil)
	if err == nil {
		err = s.Uninstall()
	}
	if err != nil {
		return fmt.Errorf("%w: the service could not be removed: %w", ErrService, err)
	}
	return nil
}

// Status asks the system's service manager, through the library.
func Status() (State, error) {
	s, err := newService(nil)
	if err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrService, err)
	}
	status, err := s.Status()
	if errors.Is(err, service.ErrNotInstalled) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrService, err)
	}
	return State{Installed: true, Running: status == service.StatusRunning}, nil
}

// Serve runs the coordinator.
func Serve(ctx context.Context, run func(ctx context.Context, ready func()) error, _ func(context.Context) error) error {
	return run(ctx, func() {})
}

// IsService says whether a service manager started this process.
func IsService() bool { return !service.Interactive() }

// removable refuses nothing: there are no packages.
func removable() error { return nil }
