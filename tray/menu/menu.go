// Package menu is the client's icon in the system tray, and its menu: the live
// roster, unread conversations first. A click on a name opens the compose
// popup.
package menu

import (
	"log/slog"

	"earshot/tray/i18n"
)

// Options are what Run may be told. The zero value is good.
type Options struct {
	// Log takes what a person does not have to see; nil drops it.
	Log *slog.Logger
	// OnQuit is called once, when the person has chosen Quit and the engine
	// has been told. It may be nil.
	OnQuit func()
	// Say shows a sentence that the person should read once, as a
	// notification. If it is nil the sentence goes to Log alone.
	Say func(p *i18n.Printer, sentence string)
}

func (o *Options) fill() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}
