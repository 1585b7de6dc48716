//go:build !linux && !windows

package popup

import (
	"errors"

	"earshot/tray/i18n"
	"earshot/tray/popup/ui"
)

// newToolkit says that this system has no toolkit that Earshot knows.
func newToolkit(p *i18n.Printer) (ui.Toolkit, error) {
	return nil, errors.New(p.T("PopupNoToolkit"))
}
