// Package notify tells the person about messages and about people coming and
// going, as desktop notifications: one for each sender, replaced and not
// stacked, taken back when it has been read elsewhere.
package notify

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
	"earshot/tray/settings"
)

// Options are what Run may be told. The zero value is good.
type Options struct {
	// Log takes what a person does not have to see; nil drops it. It never
	// gets the text of a message.
	Log *slog.Logger
}

// sink shows notes on the desktop. Its methods are called from one goroutine.
type sink interface {
	show(n note) error
	withdraw(key string)
	// answers delivers what the person does about notes; nil if the desktop
	// doesn't tell.
	answers() <-chan answer
	close()
}

// Run shows notifications for the engine's events until ctx or the engine
// ends. It returns nil then.
func Run(ctx context.Context, engine localapi.Engine, p *i18n.Printer, opts Options) error {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	desktop := newSink(ctx, p, opts.Log)
	defer desktop.close()
	return run(ctx, engine, p, desktop, opts)
}

func run(ctx context.Context, engine localapi.Engine, p *i18n.Printer, desktop sink, opts Options) error {
	log := opts.Log
	ctx, cancel := context.WithCancel(ctx)
	events := make(chan chat.Event)
	followed := make(chan struct{})
	var followErr error // once followed is closed
	go func() { defer close(followed); followErr = follow(ctx, engine, events) }()
	defer func() { cancel(); <-followed }()

	policy := newPolicy(p)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-followed:
			return followErr
		case e := <-events:
			if e.Type == chat.EventSettings || e.Type == chat.EventSnapshot {
				if items, err := engine.Settings(ctx); err == nil {
					policy.adopt(settings.FromItems(items), time.Now())
				} else {
					log.Error("the settings are not known", "error", err)
				}
			}
			for _, key := range policy.event(e, time.Now()) {
				desktop.withdraw(key)
			}
		case <-timer.C:
		case a := <-desktop.answers():
			a.carryOut(ctx, engine, log)
		}
		now := time.Now()
		for _, n := range policy.due(now) {
			if err := desktop.show(n); err != nil {
				log.Warn("a notification was not shown", "error", err)
			}
			if n.expected != "" {
				// Once it was; the switch for all holds again.
				if err := engine.ResetSetting(ctx, "people."+n.expected+".login"); err != nil {
					log.Error("somebody who was expected will be told of once more", "error", err)
				}
			}
		}
		if next := policy.next(); !next.IsZero() {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
	}
}

// follow passes the engine's events on until it ends.
func follow(ctx context.Context, engine localapi.Engine, events chan<- chat.Event) error {
	subscription := engine.Subscribe(localapi.Watcher)
	defer subscription.Close()
	for {
		e, err := subscription.Next(ctx)
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case events <- e:
		case <-ctx.Done():
			return nil
		}
	}
}
