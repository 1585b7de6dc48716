package main

import (
	"context"
	"errors"
	"log/slog"

	"earshot/tray/localapi"
)

// needDesktop says that the client is headless on macOS for now: the tray needs
// cgo there.
func (c *command) needDesktop() error { return errors.New(c.p.T("CliNoTrayOnMac")) }

// tray is never called, for there is no desktop.
func (c *command) tray(ctx context.Context, _ localapi.Engine, _ *slog.Logger) error {
	<-ctx.Done()
	return nil
}

// tell has nowhere to show it but the terminal.
func tell(error) {}
