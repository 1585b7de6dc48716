package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/user"
	"strings"
	"sync"
	"time"

	"earshot/tray/chat"
	"earshot/tray/client"
	"earshot/tray/historypage"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
	"earshot/tray/pagehost"
	"earshot/tray/policy"
	"earshot/tray/profile"
	"earshot/tray/settings"
	"earshot/tray/settingspage"
	"earshot/tray/store"

	wire "earshot/protocol/classic"
)

// start is the command that runs the client, in the tray unless --headless.
func (c *command) start() (err error) {
	if !c.opts.headless && hasDesktop() {
		// Whoever starts it from a menu or at login sees no terminal.
		defer func() { tell(err) }()
	}
	lock, running, err := c.take()
	for err == nil && lock == nil {
		if err = c.second(running); !errors.Is(err, localapi.ErrNotRunning) {
			return err
		}
		lock, running, err = c.take() // that one has ended meanwhile
	}
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }() // the system does it at the end anyway
	if !c.opts.headless {
		if err := c.needDesktop(); err != nil {
			return err
		}
	}
	if err := c.settle(); err != nil {
		return err
	}
	log, err := openLog(c.profile.Log())
	if err != nil {
		return err
	}
	defer log.Close()
	logger := slog.New(slog.NewTextHandler(log, nil))
	return c.serve(logger)
}

// take takes the profile, or finds the client that has it. Whoever has it and does not
// answer is starting or ending, or is a command such as history, which has it for a
// moment.
func (c *command) take() (lock *profile.Lock, running chat.Status, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		lock, err := c.profile.Lock()
		if !errors.Is(err, profile.ErrInUse) {
			return lock, running, err
		}
		running, err := c.client.Ask(ctx)
		if !errors.Is(err, localapi.ErrNotRunning) {
			return nil, running, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, running, err
		}
	}
}

// second is a start beside a running client: it shows the Find window of that
// one, or, in another desktop session, what is to be seen of it there.
func (c *command) second(running chat.Status) error {
	if c.opts.headless {
		return errors.New(c.p.T("CliAlreadyRunning", "Dir", c.profile.Dir()))
	}
	allowForeground()
	if running.Seat != c.seat() {
		return c.companion()
	}
	return c.client.Compose(c.ctx, "")
}

// settle makes what the flags say the person's choice, once it is clear that
// the client can start with it.
func (c *command) settle() error {
	given := []struct{ name, value string }{
		{"server", c.opts.server}, {"name", c.opts.name}, {"language", c.opts.language}, {"encoding", c.opts.encoding},
	}
	if c.live.Values().Server == "" && c.opts.server == "" {
		return errors.New(c.p.T("CliNoServer"))
	}
	if c.opts.server != "" {
		if _, _, err := c.coordinator(c.opts.server); err != nil {
			return err
		}
	}
	if c.opts.name != "" {
		if err := c.checkName(c.opts.name); err != nil {
			return err
		}
	}
	items := c.live.List(c.p)
	for _, g := range given {
		if g.value == "" {
			continue
		}
		if item, err := settings.Pick(items, g.name); err == nil && item.Text == g.value {
			continue // be it locked
		}
		if err := c.live.Set(c.ctx, g.name, g.value); err != nil {
			return err
		}
	}
	return c.live.Enforce()
}

func (c *command) checkName(name string) error {
	err := wire.ValidateName(name)
	switch {
	case errors.Is(err, wire.ErrNameEmpty):
		return errors.New(c.p.T("CliNameEmpty"))
	case errors.Is(err, wire.ErrNameLong):
		return errors.New(c.p.T("CliNameLong"))
	case errors.Is(err, wire.ErrNameComma):
		return errors.New(c.p.T("CliNameComma"))
	case err != nil:
		return errors.New(c.p.T("CliNameControl"))
	}
	return nil
}

// accountName is the account's name, made fit for a roster where it isn't.
func accountName() string {
	name := ""
	if u, err := user.Current(); err == nil {
		name = u.Username[strings.LastIndexAny(u.Username, `\/`)+1:]
	}
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == ',' || r == ';' {
			return ' '
		}
		return r
	}, name))
	if wire.ValidateName(name) != nil {
		return "earshot"
	}
	return name
}

// serve runs the engine, its API and, with a desktop, the tray, and ends them
// in order: the engine logs out and tells its subscribers, then the rest stops.
func (c *command) serve(log *slog.Logger) (err error) {
	s := c.live.Values()
	name, server := cmp.Or(s.Name, accountName()), c.serverName(s.Server)
	for _, problem := range i18n.Problems() {
		log.Warn("a language that was dropped in is not whole", "error", problem)
	}
	messages, err := store.Open(c.ctx, c.profile.History())
	if errors.Is(err, store.ErrNewer) {
		return errors.New(c.p.T("CliHistoryNewer"))
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, messages.Close()) }()
	key, where, err := c.profile.DeviceKey(s.Keyring != "off" && c.opts.profile == "")
	if err != nil {
		return err
	}
	log.Info("this device's key is ready", "id", key.Public().ID(), "kept", where)
	network, err := c.network(key, log)
	if err != nil {
		return err
	}
	shown := make(map[string]http.Handler)
	pages := pagehost.New(shown, func() string { return c.p.T("CliPageLink") }, log)
	defer pages.Close()
	engine, err := client.New(c.ctx, client.Config{
		Transport: network, Store: messages, Printer: c.p, Name: name, Server: server, Version: version,
		Device: key.Public(), Settings: c.live,
		StartPopup: c.startPopup, Seat: c.seat(), Page: pages.Link, Log: log,
	})
	if err != nil {
		return err
	}
	shown["history"] = historypage.Handler(engine, c.p, log)
	shown["settings"] = settingspage.Handler(engine, c.p, log)
	shown["doctor"] = c.doctorPage(engine)
	listener, err := localapi.Listen(c.profile.Socket())
	if err != nil {
		return err
	}
	api, endAPI := context.WithCancel(context.WithoutCancel(c.ctx))
	defer endAPI()
	desktop, endDesktop := context.WithCancel(context.WithoutCancel(c.ctx))
	defer endDesktop()
	var running sync.WaitGroup
	var apiErr error
	running.Go(func() {
		if apiErr = localapi.Serve(api, listener, engine); apiErr != nil {
			engine.Quit() // a client that can't be spoken to is of no use
		}
	})
	awayChanged := make(chan struct{}, 1)
	defer c.live.OnChange(func(names []string) { c.adapt(names, engine, network, awayChanged) })()
	running.Go(func() { c.watchPolicy(desktop, policy.Load, engine.Tell, log) })
	if !c.opts.headless {
		running.Go(func() { c.watchAway(desktop, awayChanged, engine.AutoAway, log) })
	}
	running.Go(func() { slim(desktop, log) })
	running.Go(func() {
		engine.Run(c.ctx)
		endAPI()
		endDesktop()
	})
	if c.opts.headless {
		fmt.Fprintln(c.out, c.p.T("CliRunning", "Name", name, "Server", server))
	} else if trayErr := c.tray(desktop, engine, log); trayErr != nil {
		engine.Quit()
		err = trayErr
	}
	running.Wait()
	return errors.Join(err, apiErr)
}

// logLimit is when a log is put aside at the start.
const logLimit = 4 << 20

func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}
