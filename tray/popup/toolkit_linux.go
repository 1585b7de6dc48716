package popup

import (
	"earshot/tray/i18n"
	"earshot/tray/popup/gtk3"
	"earshot/tray/popup/ui"
)

// newToolkit returns the system's native toolkit.
func newToolkit(p *i18n.Printer) (ui.Toolkit, error) { return gtk3.New(p) }
