package main

import "golang.org/x/sys/windows"

var allowSetForegroundWindow = windows.NewLazySystemDLL("user32.dll").NewProc("AllowSetForegroundWindow")

// allowForeground lets the popup, another process, come to the front. Windows
// permits that only to whom the person has just clicked or typed into, and to
// those whom that process names; the permission ends with the next input.
func allowForeground() {
	const anyProcess = 1<<32 - 1 // ASFW_ANY
	// It is refused to a program that the person did not turn to, whose popup
	// then blinks in the taskbar.
	_, _, _ = allowSetForegroundWindow.Call(anyProcess)
}
