//go:build !windows && !darwin

package menu

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"
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

// watchTray says so if no panel takes tray icons, and sees to it that one that
// comes later gets ours.
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
	if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, watcher).Store(&there); err != nil {
		opts.Log.Warn("the session bus does not say whether there is a tray", "error", err)
	}
	wait := time.NewTimer(watcherWait)
	defer wait.Stop()
	told := there
	for {
		select {
		case <-ctx.Done():
			return
		case signal, open := <-owners:
			if !open {
				if ctx.Err() == nil {
					// Not every desktop ends what runs in it when the person logs out, but
					// all of them end the bus, without which there is no icon.
					opts.Log.Info("the desktop session has ended")
					opts.SessionEnded()
				}
				return
			}
			if signal.Name == "org.freedesktop.DBus.NameOwnerChanged" && len(signal.Body) == 3 && signal.Body[2] != "" {
				there = true
				wait.Reset(registerWait)
			}
		case <-wait.C:
			switch {
			case there:
				register(ctx, conn, opts.Log)
			case !told:
				told = true
				missing(ctx, engine, p, opts)
			}
		}
	}
}

// registerWait is how long systray has to register by itself at a new panel.
const registerWait = time.Second

// register announces our icon to a panel that does not have it. systray means
// to do that itself, but stops listening at the first signal that it does not
// expect, and the bus sends one at the start.
func register(ctx context.Context, conn *dbus.Conn, log *slog.Logger) {
	name := "org.kde.StatusNotifierItem-" + strconv.Itoa(os.Getpid()) + "-1" // as systray calls itself
	var owner string
	if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, name).Store(&owner); err != nil {
		log.Warn("the icon is not on the session bus", "error", err)
		return
	}
	panel := conn.Object(watcher, "/StatusNotifierWatcher")
	var items []string
	if err := panel.StoreProperty(watcher+".RegisteredStatusNotifierItems", &items); err == nil {
		for _, item := range items {
			if strings.HasPrefix(item, owner+"/") || item == owner || strings.HasPrefix(item, name) {
				return
			}
		}
	}
	if err := panel.CallWithContext(ctx, watcher+".RegisterStatusNotifierItem", 0, name).Err; err != nil {
		log.Warn("the panel does not take the icon", "error", err)
	}
}

// panel is nothing that Linux desktops tell.
func panel() icons.Panel { return icons.AnyPanel }
