// Package icons holds the pictures of Earshot, rendered from the SVG sources in
// src by render.sh.
package icons

import (
	"embed"
	"strconv"
)

//go:embed png/*.png ico/*.ico
var files embed.FS

// Panel is what an icon in the tray stands on.
type Panel string

const (
	// AnyPanel is for panels whose colour nobody tells: outlined, so that it
	// reads on dark and on light.
	AnyPanel Panel = "any"
	// LightPanel and DarkPanel are for Windows, which tells.
	LightPanel Panel = "light"
	DarkPanel  Panel = "dark"
)

// State is what the tray's icon says of the person and the network.
type State string

const (
	Online State = "online"
	Away   State = "away"
	// Busy is also a time in which nothing disturbs.
	Busy    State = "busy"
	Offline State = "offline"
)

// TrayPNG returns the icon for the tray, 48 pixels wide. unread is shown as a
// badge: 1 to 9, and 9+ for more.
func TrayPNG(panel Panel, state State, unread int) []byte {
	return read("png/" + trayName(panel, state, unread) + ".png")
}

// TrayICO is TrayPNG for Windows, in two sizes. AnyPanel is the dark one.
func TrayICO(panel Panel, state State, unread int) []byte {
	if panel == AnyPanel {
		panel = DarkPanel
	}
	return read("ico/" + trayName(panel, state, unread) + ".ico")
}

func trayName(panel Panel, state State, unread int) string {
	name := "tray-" + string(panel) + "-" + string(state)
	switch {
	case unread > 9:
		return name + "-more"
	case unread > 0:
		return name + "-" + strconv.Itoa(unread)
	}
	return name
}

// Sizes are those in which AppPNG has the application's icon.
var Sizes = []int{16, 22, 24, 32, 48, 64, 128, 256}

// AppPNG returns the application's icon in one of Sizes.
func AppPNG(size int) []byte { return read("png/app-" + strconv.Itoa(size) + ".png") }

// AppICO returns the application's icon for Windows, in all its sizes.
func AppICO() []byte { return read("ico/app.ico") }

func read(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		panic("icons: " + err.Error()) // a test asks for every one of them
	}
	return b
}
