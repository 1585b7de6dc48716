//go:build !windows && !darwin

package profile

import (
	"context"
	"errors"
	"slices"

	"earshot/tray/sessionbus"
)

// keyringPresent says whether a Secret Service runs or can be started. The
// library would start a session bus where there is none, in vain.
func keyringPresent() error {
	ctx, cancel := context.WithTimeout(context.Background(), keyringLimit)
	defer cancel()
	bus, err := sessionbus.Connect(ctx)
	if err != nil {
		return err
	}
	defer bus.Close()
	for _, method := range []string{"ListNames", "ListActivatableNames"} {
		var names []string
		if err := bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus."+method, 0).Store(&names); err != nil {
			return err
		}
		if slices.Contains(names, "org.freedesktop.secrets") {
			return nil
		}
	}
	return errors.New("there is no keyring")
}
