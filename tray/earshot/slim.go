package main

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

const (
	// slimAfter is when a client has started, with the roster and the tray, and
	// slimEvery how often it is looked after from then on.
	slimAfter = 20 * time.Second
	slimEvery = 20 * time.Minute
)

// slimWindow gives back, once, what only the start of the window process needed.
func slimWindow(ctx context.Context) {
	const after = 1500 * time.Millisecond
	select {
	case <-ctx.Done():
		return
	case <-time.After(after):
	}
	debug.FreeOSMemory()
	_ = dropLibraries() // it is only larger then
}

// slim gives the memory back that only the start or a busy hour needed, until
// ctx ends. A client rests nearly all of its life.
func slim(ctx context.Context, log *slog.Logger) {
	timer := time.NewTimer(slimAfter)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		debug.FreeOSMemory()
		if err := dropProgram(); err != nil {
			log.Debug("the program's pages stay in memory", "error", err)
		}
		timer.Reset(slimEvery)
	}
}
