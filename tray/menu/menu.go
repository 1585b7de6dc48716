// Package menu is the client's icon in the system tray, and its menu: the live
// roster, unread conversations first. A click on a name opens the compose
// popup.
package menu

import "log/slog"

// Options are what Run may be told. The zero value is good.
type Options struct {
	// Log takes what a person does not have to see; nil drops it.
	Log *slog.Logger
	// Say shows a sentence that the person should read once, as a
	// notification. If it is nil the sentence goes to Log alone.
	Say func(sentence string)
	// Browse opens an address in the person's browser; nil opens none.
	Browse func(url string) error
	// SessionEnded is called when the desktop session is over. If it is nil the
	// engine is told to quit.
	SessionEnded func()
}

func (o *Options) fill() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}
