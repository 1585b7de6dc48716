//go:build !darwin

package main

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"

	"earshot/tray/localapi"
	"earshot/tray/menu"
	"earshot/tray/notify"
	"earshot/tray/pagehost"
)

// needDesktop says so if there is nowhere to put an icon.
func (c *command) needDesktop() error {
	if hasDesktop() {
		return nil
	}
	return errors.New(c.p.T("CliNoDesktop"))
}

// tell shows why the client did not start, or ended, as a notification. On
// Windows, where those vanish with the process, alert shows it.
func tell(err error) {
	if err != nil && runtime.GOOS != "windows" {
		_ = notify.Say(err.Error()) // it is printed too
	}
}

// tray shows the icon and the notifications until ctx ends. It runs on the
// main goroutine.
func (c *command) tray(ctx context.Context, engine localapi.Engine, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		// Without notifications the rest is still of use.
		if err := notify.Run(ctx, engine, c.p, notify.Options{Log: log}); err != nil {
			log.Error("no notifications", "error", err)
		}
	})
	err := menu.Run(ctx, clicked{engine}, c.p, menu.Options{Log: log, Browse: pagehost.Browse, SessionEnded: c.stop, Say: func(sentence string) {
		if err := notify.Say(sentence); err != nil {
			log.Warn("a notification was not shown", "error", err)
		}
	}})
	cancel()
	running.Wait()
	return err
}

// clicked is an engine whose popup is asked for by a click, and may come to the
// front.
type clicked struct{ localapi.Engine }

// Compose implements localapi.Engine.
func (e clicked) Compose(ctx context.Context, peer string) error {
	allowForeground()
	return e.Engine.Compose(ctx, peer)
}
