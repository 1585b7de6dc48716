package menu

import (
	"context"
	"errors"

	"earshot/tray/i18n"
	"earshot/tray/localapi"
)

// Run returns an error: on macOS the tray needs a C compiler, and Earshot is
// built without one.
func Run(_ context.Context, _ localapi.Engine, p *i18n.Printer, _ Options) error {
	return errors.New(p.T("MenuNoTrayHere"))
}
