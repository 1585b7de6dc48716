package osservice

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kardianos/service"
)

//go:embed earshotd.sysv
var sysvScript string

// sysv is SysV's init.
type sysv struct{ initd }

func (sysv) library() string { return "unix-systemv" }

func (sysv) options() service.KeyValue { return service.KeyValue{"SysvScript": sysvScript} }

func (sysv) commandLine(arguments []string) ([]string, error) { return line(arguments, quote) }

func (sysv) remark() string {
	return "Nothing starts it again if it ends by itself, for SysV's init looks after no service; its log is " + logFile + "."
}

// prepare also refuses where the script could not do its work.
func (i sysv) prepare(needs Needs) error {
	for _, program := range []string{"service", "start-stop-daemon"} {
		if !has(program) {
			return fmt.Errorf("%w: the service needs the program %s, which is not here; install it", ErrService, program)
		}
	}
	return i.initd.prepare(needs)
}

// libraryLinks are the links that the library makes, of its own order and not the
// headers' of the scripts.
func libraryLinks() []string {
	starts, _ := filepath.Glob("/etc/rc[2-5].d/S50" + Name)
	stops, _ := filepath.Glob("/etc/rc[016].d/K02" + Name)
	return append(starts, stops...)
}

func (i sysv) install(s service.Service) error {
	return i.put(s, func() error {
		if !has("update-rc.d") {
			return nil // the library's must do
		}
		for _, link := range libraryLinks() {
			// Others' are relative.
			if to, err := os.Readlink(link); err == nil && to == scriptFile {
				if err := os.Remove(link); err != nil {
					return err
				}
			}
		}
		if err := command(context.Background(), "update-rc.d", Name, "defaults"); err != nil {
			return err
		}
		return command(context.Background(), "update-rc.d", Name, "enable")
	})
}

func (sysv) uninstall() error {
	if has("update-rc.d") {
		if err := command(context.Background(), "update-rc.d", "-f", Name, "remove"); err != nil {
			return err
		}
	}
	for _, file := range append(libraryLinks(), pidFile, scriptFile, scriptAside) {
		if err := removeIfThere(file); err != nil {
			return err
		}
	}
	return nil
}

func (sysv) manage(ctx context.Context, _ service.Service, action string) error {
	return order(ctx, "service", action)
}

// status looks at the process that the script has noted, for SysV's init knows
// nothing.
func (i sysv) status() (State, error) {
	s := State{Installed: i.installed(), Detail: "stopped"}
	text, err := os.ReadFile(pidFile)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrService, err)
	}
	noted := number(text)
	if !alive(noted) {
		s.Detail, s.failing = "crashed", true
		return s, nil
	}
	if pid, since := serving(); pid == noted {
		s.Running, s.PID, s.Since, s.Detail = true, pid, since, "running"
		return s, nil
	}
	s.Busy, s.Detail = true, "starting"
	return s, nil
}
