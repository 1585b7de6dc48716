//go:build !windows && !darwin

package menu

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"

	"earshot/icons"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
	"earshot/tray/sessionbus"
)

const watcher = "org.kde.StatusNotifierWatcher"

// watcherWait is how long a desktop that has just started may take until its
// panel is there.
const watcherWait = 10 * time.Second

// available says whether there is a session bus, over which trays work.
func available() bool {
	conn, err := sessionbus.Connect(context.Background())
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// watchTray says so if no panel takes tray icons. systray itself registers when
// one comes later.
func watchTray(ctx context.Context, engine localapi.Engine, p *i18n.Printer, opts Options) {
	conn, err := sessionbus.Connect(ctx)
	if err != nil {
		opts.Log.Warn("the session bus can't be watched", "error", err)
		return
	}
	defer conn.Close()
	owners := make(chan *dbus.Signal, 8)
	conn.Signal(owners)
	if err := conn.AddMatchSignal(
		dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, watcher),
	); err != nil {
		opts.Log.Warn("the session bus can't be watched", "error", err)
		return
	}
	var there bool
	if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, watcher).Store(&there); err != nil || there {
		return
	}
	late := time.NewTimer(watcherWait)
	defer late.Stop()
	select {
	case <-ctx.Done():
	case <-owners: // a panel has come
	case <-late.C:
		missing(ctx, engine, p, opts)
	}
}

// panel is nothing that Linux desktops tell.
func panel() icons.Panel { return icons.AnyPanel }
