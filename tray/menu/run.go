//go:build !darwin

package menu

import (
	"context"

	"earshot/tray/i18n"
	"earshot/tray/localapi"
)

// Run shows the icon and its menu until the person chooses Quit or ctx ends.
// It must be called on the main goroutine, before that has done anything else:
// some desktops serve a window only from the thread that made it.
func Run(ctx context.Context, engine localapi.Engine, p *i18n.Printer, opts Options) error {
	opts.fill()
	<-ctx.Done()
	return nil
}
