package osservice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/kardianos/service"
)

const (
	unitFile = "/etc/systemd/system/" + Name + ".service"
	// aside is where a unit waits while its successor is written.
	aside = unitFile + ".old"
)

// systemd is the init of most Linuxes.
type systemd struct{}

func (systemd) library() string { return "linux-systemd" }

func (systemd) options() service.KeyValue { return service.KeyValue{"SystemdScript": unit} }

func (systemd) commandLine(arguments []string) ([]string, error) { return arguments, nil }

func (systemd) logs() string { return "`journalctl -u earshotd` shows what it logged" }

func (systemd) remark() string { return "" }

func (systemd) purge() error { return nil } // systemd makes the account, and removes it

func (systemd) program(path string) error { return visible(path) }

func (systemd) manage(_ context.Context, s service.Service, action string) error {
	return service.Control(s, action)
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
func (systemd) prepare(needs Needs) error {
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

// install writes the unit anew and enables it.
func (systemd) install(s service.Service) error {
	return renew(unitFile, aside, s.Install, func() { _ = systemctl("daemon-reload") })
}

// removable refuses what isn't ours to remove.
func (systemd) removable() error { return packaged("remove the package instead") }

func (systemd) uninstall() error {
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

// status asks systemd.
func (systemd) status() (State, error) {
	out, err := output("show", Name+".service", "--timestamp=unix",
		"--property=LoadState,ActiveState,SubState,MainPID,ActiveEnterTimestamp,InactiveEnterTimestamp,Result,NRestarts")
	if err != nil {
		return State{}, err
	}
	return parseShow(out), nil
}

func parseShow(out string) State {
	properties := make(map[string]string)
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		properties[key] = value
	}
	s := State{Installed: properties["LoadState"] == "loaded", Detail: properties["ActiveState"]}
	if result := properties["Result"]; result != "success" {
		s.Result = result
	}
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
	if s.Running || s.Busy || s.Result != "" { // otherwise it was asked to stop, and that was before
		s.Restarts, _ = strconv.Atoi(properties["NRestarts"])
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
