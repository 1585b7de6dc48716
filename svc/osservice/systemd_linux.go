package osservice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/kardianos/service"
)

const (
	account      = "" // the unit's DynamicUser
	whereLogsAre = "`journalctl -u earshotd` shows what it logged"
	unitFile     = "/etc/systemd/system/" + Name + ".service"
	// commandLimit bounds each call of systemctl.
	commandLimit = 30 * time.Second
)

func options() service.KeyValue { return service.KeyValue{"SystemdScript": unit} }

// supported refuses where systemd is not the init: the library would quietly
// write a script for an init that may not be there either.
func supported() error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return fmt.Errorf("%w: systemd does not run here, so there is nothing to install the service into; run `earshotd run` under your own supervisor", ErrUnsupported)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: installing a service needs root; run it with sudo", ErrService)
	}
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	return visible(path)
}

// visible refuses what the unit hides from the service.
func visible(path string) error {
	for _, hidden := range []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"} {
		if strings.HasPrefix(path, hidden) {
			return fmt.Errorf("%w: the service does not see %s, for %s is hidden from it; move the file, a program to /usr/local/bin for example and a configuration to /etc, and install from there", ErrService, path, strings.TrimSuffix(hidden, "/"))
		}
	}
	return nil
}

// InstallRestarts says that Install starts a running service anew.
const InstallRestarts = false

// packagedUnits are where a package of a distribution has the unit.
var packagedUnits = []string{"/usr/lib/systemd/system/" + Name + ".service", "/lib/systemd/system/" + Name + ".service"}

// packaged refuses to work beside a package, whose unit would be hidden by ours.
func packaged(instead string) error {
	for _, file := range packagedUnits {
		if _, err := os.Stat(file); err == nil {
			return fmt.Errorf("%w: earshotd is here as a package, which has brought its service along; %s", ErrService, instead)
		}
	}
	return nil
}

// prepare refuses files that the unit's sandbox keeps from the service.
func prepare(needs Needs) error {
	if err := packaged("`systemctl enable --now " + Name + "` starts it, and its configuration is /etc/earshot/earshotd.toml"); err != nil {
		return err
	}
	if needs.Data != needs.DefaultData {
		return fmt.Errorf("%w: the service can write only its own directory, %s, so its data can't be in %s; leave --data (or the file's data) out",
			ErrService, needs.DefaultData, needs.Data)
	}
	if needs.Config == "" {
		return nil
	}
	if err := visible(needs.Config); err != nil {
		return err
	}
	// The service's account is made when it starts, so it is nobody's group.
	if info, err := os.Stat(needs.Config); err == nil && info.Mode().Perm()&0o004 == 0 {
		return fmt.Errorf("%w: the service's account may not read %s; `chmod o+r` lets it", ErrService, needs.Config)
	}
	return nil
}

// aside is where a unit waits while its successor is written.
const aside = unitFile + ".old"

// install writes the unit anew and enables it. The library refuses where a unit
// is, be it of an earlier version or an empty one left by an interrupted
// installation, so the old one steps aside and comes back if the new one fails.
// Interrupted in between, the next install finishes it.
func install(s service.Service) error {
	old := true
	if err := os.Rename(unitFile, aside); errors.Is(err, fs.ErrNotExist) {
		old = false
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	if err := s.Install(); err != nil {
		_ = os.Remove(unitFile)
		if old {
			_ = os.Rename(aside, unitFile)
		}
		_ = systemctl("daemon-reload")
		return fmt.Errorf("%w: the service could not be installed: %w", ErrService, err)
	}
	if err := syncFile(unitFile); err != nil {
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

// removable refuses what isn't ours to remove.
func removable() error { return packaged("remove the package instead") }

func uninstall() error {
	if err := systemctl("disable", Name+".service"); err != nil {
		return err
	}
	if err := errors.Join(removeIfThere(unitFile), removeIfThere(aside)); err != nil {
		return err
	}
	if err := systemctl("daemon-reload"); err != nil {
		return err
	}
	// It would stand among the failed units for ever if it ever failed.
	_ = systemctl("reset-failed", Name+".service")
	return nil
}

// Status asks systemd.
func Status() (State, error) {
	if err := supportedQuery(); err != nil {
		return State{}, err
	}
	out, err := output("show", Name+".service", "--timestamp=unix",
		"--property=LoadState,ActiveState,SubState,MainPID,ActiveEnterTimestamp,InactiveEnterTimestamp")
	if err != nil {
		return State{}, err
	}
	return parseShow(out), nil
}

func supportedQuery() error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return fmt.Errorf("%w: systemd does not run here, so there is no service to ask about; `earshotd run` runs the coordinator in the foreground", ErrUnsupported)
	}
	return nil
}

func parseShow(out string) State {
	properties := make(map[string]string)
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		properties[key] = value
	}
	s := State{Installed: properties["LoadState"] == "loaded", Detail: properties["ActiveState"]}
	since := properties["InactiveEnterTimestamp"]
	switch properties["ActiveState"] {
	case "active":
		s.Running = true
		s.PID, _ = strconv.Atoi(properties["MainPID"])
		since = properties["ActiveEnterTimestamp"]
	case "activating", "deactivating", "reloading":
		s.Busy = true
		s.Detail = properties["ActiveState"] + ", " + properties["SubState"]
	}
	if seconds, err := strconv.ParseInt(strings.TrimPrefix(since, "@"), 10, 64); err == nil && seconds > 0 {
		s.Since = time.Unix(seconds, 0)
	}
	return s
}

func systemctl(args ...string) error {
	_, err := output(args...)
	return err
}

func output(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemctl", args...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("%w: systemctl %s took longer than %v", ErrTimeout, args[0], commandLimit)
		}
		return "", fmt.Errorf("%w: systemctl %s: %s", ErrService, args[0], strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}
