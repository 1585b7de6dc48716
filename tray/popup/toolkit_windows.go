package popup

import (
	"earshot/tray/i18n"
	"earshot/tray/popup/ui"
	"earshot/tray/popup/win32"
)

// newToolkit returns the system's native toolkit.
func newToolkit(p *i18n.Printer) (ui.Toolkit, error) { return win32.New(p) }
