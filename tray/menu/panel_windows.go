package menu

import (
	"context"

	"golang.org/x/sys/windows/registry"

	"earshot/icons"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
)

// available is always so: Windows has a taskbar.
func available() bool { return true }

// watchTray has nothing to watch: systray handles Explorer's restart.
func watchTray(context.Context, localapi.Engine, *i18n.Printer, Options) {}

// panel is the colour of the taskbar.
func panel() icons.Panel {
	key, err := registry.OpenKey(registry.CURRENT_USER, `SOFTWARE\Microsoft\Windows\CurrentVersion\Themes\Personalize`, registry.QUERY_VALUE)
	if err != nil {
		return icons.DarkPanel
	}
	defer key.Close()
	if light, _, err := key.GetIntegerValue("SystemUsesLightTheme"); err == nil && light == 1 {
		return icons.LightPanel
	}
	return icons.DarkPanel
}
