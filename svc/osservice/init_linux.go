package osservice

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kardianos/service"
)

// commandLimit bounds each call of a service manager's program.
const commandLimit = 30 * time.Second

// InstallRestarts says that Install starts a running service anew.
const InstallRestarts = false

// initSystem is what starts services on a Linux. Its errors are of this package's
// families.
type initSystem interface {
	// library is its name in github.com/kardianos/service, and options are what
	// that library is told.
	library() string
	options() service.KeyValue
	// commandLine spells a command line as the init's template takes it.
	commandLine(arguments []string) ([]string, error)
	// program and prepare refuse what the service could not use, before anything
	// has changed.
	program(path string) error
	prepare(Needs) error
	// install registers the service anew, over one that is there or the remains of
	// one.
	install(service.Service) error
	// removable refuses what isn't ours to remove.
	removable() error
	uninstall() error
	// purge removes what an installation has made besides, but the data.
	purge() error
	// manage starts or stops the service.
	manage(ctx context.Context, s service.Service, action string) error
	status() (State, error)
	// logs is a clause that says where the log is.
	logs() string
	// remark is a sentence of what to know of a service here, or nothing.
	remark() string
}

// detect says which init runs the system whose files are below root; nil if it is
// none of those that are known here. What is installed counts for nothing: many
// systems have the programs of another init.
func detect(root string) initSystem {
	is := func(name string) bool {
		_, err := os.Stat(filepath.Join(root, name))
		return err == nil
	}
	first := func(file string) string {
		text, _ := os.ReadFile(filepath.Join(root, "proc/1", file))
		return string(text)
	}
	switch {
	case is("run/systemd/system"):
		return systemd{}
	case is("run/openrc/softlevel"), strings.TrimSpace(first("comm")) == "openrc-init":
		return openrc{}
	// Only sysvinit shows its runlevel in its command line. Others are called init as
	// well: busybox, the one of a container, and the one of Windows' Linux.
	case strings.HasPrefix(first("cmdline"), "init [") && is("etc/init.d") && is("etc/rc2.d"):
		return sysv{}
	}
	return nil
}

// running is the init of this computer, or says that there is none for a purpose.
func running(purpose string) (initSystem, error) {
	switch i := detect("/").(type) {
	case nil:
	case systemd:
		return i, nil
	default:
		return i, findPrograms()
	}
	return nil, fmt.Errorf("%w: systemd does not run here, and neither does OpenRC or SysV's init, %s", ErrUnsupported, purpose)
}

// supported refuses where no init is known: the library would quietly write a
// script for one that may not be there.
func supported() error {
	i, err := running("so there is nothing to install the service into; run `earshotd run` under your own supervisor")
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: installing a service needs root; run it with sudo", ErrService)
	}
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	return i.program(path)
}

// here is the init of a computer on which supported or Status found one.
func here() (initSystem, error) {
	return running("so there is no service to ask about; `earshotd run` runs the coordinator in the foreground")
}

func prepare(needs Needs) error {
	i, err := here()
	if err != nil {
		return err
	}
	return i.prepare(needs)
}

// newService is the library's service for the init that runs, which isn't always
// the one that the library takes: it goes by programs that are installed.
func newService(arguments []string) (service.Service, error) {
	i, err := here()
	if err != nil {
		return nil, err
	}
	systems := service.AvailableSystems()
	at := slices.IndexFunc(systems, func(s service.System) bool { return s.String() == i.library() })
	if at < 0 {
		return nil, fmt.Errorf("%w: the library does not know %s", ErrUnsupported, i.library())
	}
	line, err := i.commandLine(arguments)
	if err != nil {
		return nil, err
	}
	c := config(line)
	c.Option = i.options()
	return systems[at].New(program{}, c)
}

func install(s service.Service) error {
	i, err := here()
	if err != nil {
		return err
	}
	return i.install(s)
}

func removable() error {
	i, err := here()
	if err != nil {
		return err
	}
	return i.removable()
}

func uninstall() error {
	i, err := here()
	if err != nil {
		return err
	}
	return i.uninstall()
}

func manage(ctx context.Context, action string) error {
	i, err := here()
	if err != nil {
		return err
	}
	s, err := newService(nil)
	if err != nil {
		return err
	}
	return i.manage(ctx, s, action)
}

// Status asks the init.
func Status() (State, error) {
	i, err := here()
	if err != nil {
		return State{}, err
	}
	return i.status()
}

func whereLogsAre() string {
	i, err := here()
	if err != nil {
		return err.Error()
	}
	return i.logs()
}

// Remark is a sentence of what an administrator has to know of a service of this
// system, or nothing.
func Remark() string {
	if i := detect("/"); i != nil {
		return i.remark()
	}
	return ""
}

// Purge removes what Install has made besides the registration and the data: the
// service's account and its log, where those are not the service manager's.
func Purge() error {
	i, err := here()
	if err != nil {
		return err
	}
	return i.purge()
}

// renew replaces a file that write makes, and that the library refuses to write
// where there is one, be it of an earlier version or an empty one left by an
// interrupted installation. So the old one steps aside and comes back if the new one
// fails; undone is called then. Interrupted in between, the next install finishes it.
func renew(file, aside string, write func() error, undone func()) error {
	old := true
	if err := os.Rename(file, aside); errors.Is(err, fs.ErrNotExist) {
		old = false
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	if err := write(); err != nil {
		_ = os.Remove(file)
		if old {
			_ = os.Rename(aside, file)
		}
		undone()
		return fmt.Errorf("%w: the service could not be installed: %w", ErrService, err)
	}
	if err := syncFile(file); err != nil {
		return err
	}
	return removeIfThere(aside)
}

// syncFile sees to it that a power cut does not leave an empty file.
func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	defer f.Close()
	return f.Sync()
}

func removeIfThere(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	return nil
}
