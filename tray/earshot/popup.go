package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"earshot/tray/popup"
)

// popup is the window process. The engine starts it.
func (c *command) popup() error {
	peer := ""
	if len(c.opts.words) > 0 {
		peer = c.opts.words[0]
	}
	var slimming sync.WaitGroup
	defer slimming.Wait()
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	slimming.Go(func() { slimWindow(ctx) })
	if os.Getenv(ordersVariable) != "" {
		return popup.Run(c.ctx, newOrders(c.client, c.in), c.p, c.profile, peer)
	}
	return popup.Run(c.ctx, c.client, c.p, c.profile, peer)
}

// popupGrace is how long the window process may take to end after the engine
// has.
const popupGrace = 5 * time.Second

// hasDesktop says whether there is a screen to show anything on.
func hasDesktop() bool {
	switch runtime.GOOS {
	case "windows", "darwin":
		return true
	}
	return os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
}

// startPopup runs the window process until it ends. Its own subscription tells
// it of the engine's end, so ctx only bounds how long that may take.
func (c *command) startPopup(ctx context.Context, peer string) error {
	if !hasDesktop() {
		return errors.New(c.p.T("PopupNoDisplay"))
	}
	return c.runPopup(ctx, peer, nil)
}

// runPopup is startPopup with more windows to open, a name a line; nil leaves
// that to the engine.
func (c *command) runPopup(ctx context.Context, peer string, more io.Reader) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "popup",
		"--profile", c.profile.Dir(), "--language", c.p.Tag().String(), "--", peer)
	if more != nil {
		cmd.Stdin = more
		cmd.Env = append(os.Environ(), ordersVariable+"=1")
	}
	var said bytes.Buffer
	cmd.Stderr = &limited{buffer: &said, room: 64 << 10}
	cmd.Cancel = func() error { return nil }
	cmd.WaitDelay = popupGrace
	withoutConsole(cmd)
	err = cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil { // the client ends, and the popup with it
		return ctx.Err()
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	if last := strings.TrimPrefix(lines[len(lines)-1], "earshot: "); last != "" {
		return errors.New(clean(last))
	}
	return err
}

// limited keeps the first bytes of what a process prints.
type limited struct {
	buffer *bytes.Buffer
	room   int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.room)
	l.room -= n
	l.buffer.Write(b[:n])
	return len(b), nil
}
