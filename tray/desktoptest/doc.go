// Package desktoptest puts up a real desktop for tests: an X server without a
// screen, a session bus, a window manager, a panel with a tray, a notification
// daemon and, if wanted, a Chinese input method. Each desktop has directories
// and a display of its own, so that several run side by side, and is gone, all
// its processes with it, when its test ends.
//
// It needs Linux; on other systems the package is empty.
package desktoptest
