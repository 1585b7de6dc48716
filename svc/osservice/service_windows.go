package osservice

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

// account has no rights on this computer but those of every service.
const account = `NT AUTHORITY\LocalService`

func whereLogsAre() string { return "the event viewer shows what Windows knows of it" }

// settings are the library's for a service with a command line of arguments.
func settings(arguments []string) *service.Config {
	c := config(arguments)
	c.UserName = account
	c.Option = service.KeyValue{
		"DelayedAutoStart": true,
		service.OnFailure:  service.OnFailureRestart, service.OnFailureDelayDuration: "1s", service.OnFailureResetPeriod: 60,
	}
	return c
}

func newService(arguments []string) (service.Service, error) {
	return service.New(program{}, settings(arguments))
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
const InstallRestarts = true

func supported() error { return nil }

// prepare makes the data directory, and lets the service's account and
// administrators into it and nobody else.
func prepare(needs Needs) error {
	if err := os.MkdirAll(needs.Data, 0o700); err != nil {
		return fmt.Errorf("%w: the data directory %s can't be made; run this in a terminal opened as administrator: %w", ErrService, needs.Data, err)
	}
	// Protected, so that %ProgramData%'s rights for every user end here: full
	// access for LocalService, SYSTEM and administrators, for all that is in it.
	rights, err := windows.SecurityDescriptorFromString("D:P(A;OICI;FA;;;LS)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	list, _, err := rights.DACL()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	if err := windows.SetNamedSecurityInfo(needs.Data, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, list, nil); err != nil {
		return fmt.Errorf("%w: the service's account can't be let into %s; run this in a terminal opened as administrator: %w", ErrService, needs.Data, err)
	}
	return nil
}

// install registers the service, or registers it anew over one that is there.
func install(s service.Service) error {
	state, err := Status()
	if err != nil {
		return err
	}
	if state.Installed {
		if err := Uninstall(); err != nil {
			return err
		}
	}
	if err := s.Install(); err != nil {
		return fmt.Errorf("%w: the service could not be installed; run this in a terminal opened as administrator: %w", ErrService, err)
	}
	if err := withService(func(h *mgr.Service) error {
		// The library's recovery is for crashes; an exit with an error is one.
		return h.SetRecoveryActionsOnNonCrashFailures(true)
	}); err != nil {
		return err
	}
	if state.Running {
		return Start()
	}
	return nil
}

func uninstall() error {
	s, err := newService(nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	if err := s.Uninstall(); err != nil {
		return fmt.Errorf("%w: the service could not be removed; run this in a terminal opened as administrator: %w", ErrService, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	return await(ctx, "disappear", func(s State) bool { return !s.Installed })
}

// withService opens the service for f. ErrNotInstalled if it is not there.
func withService(f func(*mgr.Service) error) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("%w: the service manager can't be asked; run this in a terminal opened as administrator: %w", ErrService, err)
	}
	defer func() { _ = m.Disconnect() }()
	h, err := m.OpenService(Name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) || errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE) {
		return ErrNotInstalled
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	defer h.Close()
	if err := f(h); err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	return nil
}

// Status asks the service manager.
func Status() (State, error) {
	s := State{Installed: true}
	err := withService(func(h *mgr.Service) error {
		status, err := h.Query()
		s.Running = status.State == svc.Running
		s.PID = int(status.ProcessId)
		if status.State == svc.StartPending || status.State == svc.StopPending {
			s.Busy = true
			s.Detail = "changing"
		}
		return err
	})
	if errors.Is(err, ErrNotInstalled) {
		return State{}, nil
	}
	return s, err
}

// Serve runs the coordinator, and as a service answers the service manager.
// healthy is systemd's matter.
func Serve(ctx context.Context, run func(ctx context.Context, ready func()) error, _ func(context.Context) error) error {
	if !IsService() {
		return run(ctx, func() {})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// result is set before ended is closed.
	ended := make(chan struct{})
	var result error
	ready := make(chan struct{})
	s, err := service.New(program{
		start: func() error {
			go func() {
				defer close(ended)
				result = run(ctx, sync.OnceFunc(func() { close(ready) }))
				if ctx.Err() == nil {
					reportEnd(ready, result)
				}
			}()
			select {
			case <-ready:
				return nil
			case <-ended:
				return result
			case <-time.After(startLimit):
				return ErrTimeout
			}
		},
		stop: func() error {
			cancel()
			select {
			case <-ended:
				return result
			case <-time.After(stopLimit):
				return ErrTimeout
			}
		},
	}, settings(nil))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	if err := s.Run(); err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	return result
}

// reportEnd tells the event log, for a service has no terminal, why the
// coordinator ended though nobody asked it to. If it had been ready, the
// process ends here: Windows would go on showing a service that serves nobody,
// and takes an end without a word for the crash after which to start anew.
func reportEnd(ready <-chan struct{}, why error) {
	if log, err := eventlog.Open(Name); err == nil {
		_ = log.Error(1, fmt.Sprintf("The coordinator has ended: %v", why))
		_ = log.Close()
	}
	select {
	case <-ready:
		os.Exit(1)
	default:
	}
}

// IsService says whether the service manager started this process.
func IsService() bool { return !service.Interactive() }

// removable refuses nothing: there are no packages.
func removable() error { return nil }
