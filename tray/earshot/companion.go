package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/profile"
)

// companion is what is to be seen of a client in a second desktop session of the
// same person: icon, notifications and windows. The account, its key and its
// history have one client, which runs in the first. When that session ends the
// companion makes way for a client here.
func (c *command) companion() error {
	lock, err := c.profile.LockSeat(c.seat())
	if errors.Is(err, profile.ErrInUse) { // this session has its icon
		return c.runPopup(c.ctx, "", nothing{})
	}
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }() // the system does it at the end anyway
	log, err := openLog(c.profile.Log())
	if err != nil {
		return err
	}
	defer log.Close()
	logger := slog.New(slog.NewTextHandler(log, nil)).With("seat", c.seat())
	logger.Info("the client runs in another session of this account, and is shown here, too")

	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	windows := &windowProcess{ctx: ctx, run: c.runPopup, log: logger}
	quit, over := false, false
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		defer cancel()
		quit, over = follow(ctx, c.client)
	}()
	err = c.tray(ctx, guest{c.client, windows, cancel}, logger)
	if err == nil && ctx.Err() == nil {
		// The icon has seen the client's end first. Who follows it sees that, too,
		// and why.
		select {
		case <-followed:
		case <-time.After(endSeen):
		}
	}
	cancel()
	<-followed
	windows.wait()
	if err != nil || !over || quit {
		return err
	}
	return again()
}

// endSeen is how long it may take until one subscriber sees what another has.
const endSeen = 10 * time.Second

// follow waits until the client ends, and says whether the person wanted that.
// over is false if ctx ends first.
func follow(ctx context.Context, engine localapi.Engine) (quit, over bool) {
	events := engine.Subscribe(localapi.Watcher)
	defer events.Close()
	for {
		event, err := events.Next(ctx)
		if err != nil {
			return quit, ctx.Err() == nil
		}
		quit = quit || event.Type == chat.EventQuit
	}
}

// again starts the program anew, as it was started: a process has one tray.
func again() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, os.Args[1:]...)
	withoutConsole(cmd)
	return cmd.Start()
}

// guest is the client's engine in the companion's session.
type guest struct {
	localapi.Engine
	windows *windowProcess
	quit    func()
}

// Compose implements localapi.Engine.
func (g guest) Compose(_ context.Context, peer string) error { return g.windows.open(peer) }

// Quit implements localapi.Engine: it takes the icon away in this session.
func (g guest) Quit() { g.quit() }

// windowProcess is the window process of a session, which is there while there are
// windows.
type windowProcess struct {
	ctx context.Context
	run func(ctx context.Context, peer string, more io.Reader) error
	log *slog.Logger

	mu      sync.Mutex
	more    io.WriteCloser // nil without a process
	running sync.WaitGroup
}

// open shows a window.
func (w *windowProcess) open(peer string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.more != nil {
		// Nobody reads it any more if the last window has just been closed.
		if _, err := io.WriteString(w.more, order(peer)); err == nil {
			return nil
		}
	}
	in, more, err := os.Pipe()
	if err != nil {
		return err
	}
	w.more = more
	w.running.Go(func() {
		defer in.Close()
		if err := w.run(w.ctx, peer, in); err != nil && w.ctx.Err() == nil {
			w.log.Error("the popup did not open", "error", err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		more.Close()
		if w.more == more {
			w.more = nil
		}
	})
	return nil
}

// wait returns once the process has ended.
func (w *windowProcess) wait() { w.running.Wait() }

// nothing is an input at which nothing comes.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
