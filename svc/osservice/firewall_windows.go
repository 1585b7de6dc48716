package osservice

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/windows"
)

// firewallLimit bounds a call of netsh.
const firewallLimit = 30 * time.Second

// Firewall has Windows' firewall let this program's people in, or forgets that it
// does. There is one rule, by the program's path, for all of its ports.
func Firewall(open bool) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	// An earlier rule may be for another path, or there twice.
	removed := netsh("delete", "rule", "name="+displayName)
	if !open {
		return removed
	}
	return netsh("add", "rule", "name="+displayName, "dir=in", "action=allow", "enable=yes", "profile=any", "program="+program)
}

func netsh(args ...string) error {
	// Not by the search path, which others may write to.
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), firewallLimit)
	defer cancel()
	said, err := exec.CommandContext(ctx, filepath.Join(system, "netsh.exe"), append([]string{"advfirewall", "firewall"}, args...)...).CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: netsh took longer than %v", ErrTimeout, firewallLimit)
	case err != nil:
		return errors.Join(ErrService, fmt.Errorf("netsh says %q", strings.Join(strings.Fields(string(said)), " ")))
	}
	return nil
}
