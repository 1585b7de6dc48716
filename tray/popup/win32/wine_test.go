//go:build linux

package win32_test

import (
	"image"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"earshot/installer/bed"
	"earshot/tray/profile"
)

// TestWinePopup shows the popup on a wine desktop: a conversation with Chinese
// and English rows, a message of two lines typed and sent by Enter, a failed
// one sent again, and the Find window.
//
// It runs on wine's user32, gdi32 and rich edit, not on Windows'. So it does
// not prove Chinese input (an IME's composition), Segoe UI and its emoji,
// resolutions other than 96 dots per inch, a second monitor, screen readers,
// or whether Windows lets the window come to the foreground.
func TestWinePopup(t *testing.T) {
	w := bed.NewWine(t)
	demo := w.Build("./tray/popup/win32/winedemo")
	calls := filepath.Join(t.TempDir(), "calls")
	saw := func(want string) func() bool {
		return func() bool {
			text, err := os.ReadFile(calls)
			return err == nil && strings.Contains(string(text), want)
		}
	}
	shown := func(name string) func() bool {
		return func() bool {
			out, err := w.X("search", "--onlyvisible", "--name", name)
			return err == nil && out != ""
		}
	}
	gone := func(name string) func() bool { return func() bool { return !shown(name)() } }
	const talk, found = "^王小明 – Earshot$", "^Tom & Jerry – Earshot$"

	w.Start(demo, bed.Path(calls), "王小明")
	// The model marks a conversation as read once its window is shown and active.
	w.Await("the conversation is shown and active", 30*time.Second, saw(`"call":"read"`))
	w.Await("the window has its title", 5*time.Second, shown(talk))
	w.Shot("wine-popup-opened")
	w.Do("type", "--delay", "30", "Hello, Windows")
	w.Do("key", "shift+Return")
	w.Do("type", "--delay", "30", "second line")
	w.Do("key", "Return")
	w.Await("the message was sent", 5*time.Second, saw(`"text":"Hello, Windows\nsecond line"`))
	w.Shot("wine-popup-sent")

	w.Do("key", "shift+Tab", "Return")
	w.Await("the failed message was sent again", 5*time.Second, saw(`{"call":"retry","id":5}`))
	w.Shot("wine-popup-retried")
	w.Do("key", "Escape")
	w.Await("Escape closed the window", 5*time.Second, gone(talk))
	w.Await("the process ended by itself with the last window", 5*time.Second, saw(`"call":"ended"`))

	w.Start(demo, bed.Path(calls))
	smaller := resize(w, "^Find people", filepath.Dir(calls))
	w.Start(demo, bed.Path(calls))
	w.Await("the Find window is shown, as large as it was left", 20*time.Second, func() bool {
		_, size := geometry(w, "^Find people")
		return size == smaller
	})
	w.Shot("wine-find")
	w.Do("type", "--delay", "30", "tom")
	w.Shot("wine-find-typed")
	w.Do("key", "Return")
	w.Await("Enter opened the conversation", 10*time.Second, shown(found))
	w.Shot("wine-find-opened")
	w.Do("key", "Escape")

	// Somebody's device has changed: the numbers are compared, and then a
	// message is changed by its menu.
	w.Start(demo, bed.Path(calls), "Zoë")
	w.Await("the conversation with Zoë is shown", 20*time.Second, shown("^Zoë – Earshot$"))
	w.Shot("wine-trust")
	w.Do("key", "shift+Tab", "Return")
	w.Await("the number was asked for", 5*time.Second, saw(`"call":"safety"`))
	w.Shot("wine-compare")
	w.Do("key", "shift+Tab", "shift+Tab", "Return")
	w.Await("the device was accepted", 5*time.Second, saw(`"call":"accept"`))
	w.Await("Zoë was verified", 5*time.Second, saw(`"call":"verify"`))
	w.Do("key", "shift+Tab", "ctrl+End", "Menu")
	w.Shot("wine-message-menu")
	w.Do("key", "Down", "Down", "Return")
	w.Do("type", "--delay", "30", " at noon")
	w.Do("key", "Return")
	w.Await("the message was changed", 5*time.Second, saw(`{"call":"edit","text":"Lunch at noon","id":6}`))

	// The conversation's own menu: the next message is urgent.
	w.Do("key", "shift+Tab", "shift+Tab", "Return")
	w.Shot("wine-commands")
	w.Do("key", "Down", "Return")
	w.Do("type", "--delay", "30", "the alarm is real")
	w.Shot("wine-urgent")
	w.Do("key", "Return")
	w.Await("the urgent message was sent", 5*time.Second, saw(`"text":"the alarm is real","urgent":true`))
}

// geometry returns a window and its size with its frame, which is zero if it is
// not shown.
func geometry(w *bed.Wine, name string) (window string, size image.Point) {
	id, err := w.X("search", "--onlyvisible", "--name", name)
	if err != nil || id == "" {
		return "", image.Point{}
	}
	window = strings.Fields(id)[0]
	text, err := w.X("getwindowgeometry", "--shell", window)
	if err != nil {
		return "", image.Point{}
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "WIDTH":
			size.X = n
		case "HEIGHT":
			size.Y = n
		}
	}
	return window, size
}

// resize drags a corner of a window, closes it, finds its size remembered, and
// returns what it is then with its frame.
func resize(w *bed.Wine, name, dir string) image.Point {
	const by = 40
	var window string
	var size image.Point
	w.Await("the window to be resized is shown", 20*time.Second, func() bool {
		window, size = geometry(w, name)
		return size.X > 200 // it begins small
	})
	// From the window's corner, and on from there as the window follows.
	w.Do("mousemove", "--window", window, strconv.Itoa(size.X-2), strconv.Itoa(size.Y-2), "sleep", "0.2", "mousedown", "1",
		"mousemove_relative", "--", "-10", "-10", "sleep", "0.2", "mousemove_relative", "--", "-30", "-30", "sleep", "0.2",
		"mouseup", "1", "sleep", "0.2", "key", "Escape")
	w.Await("the size is remembered", 10*time.Second, func() bool {
		p, err := profile.Open(dir)
		return err == nil && p.WindowSizes()["find"] == [2]int{420 - by, 520 - by}
	})
	return size.Sub(image.Pt(by, by))
}

// Who has chosen dark programs gets dark windows. The frame, scroll bars and
// buttons are the system's, and wine's are always light.
func TestWineDark(t *testing.T) {
	w := bed.NewWine(t)
	demo := w.Build("./tray/popup/win32/winedemo")
	const key = `HKCU\SOFTWARE\Microsoft\Windows\CurrentVersion\Themes\Personalize`
	w.Run("reg", "add", key, "/v", "AppsUseLightTheme", "/t", "REG_DWORD", "/d", "0", "/f")
	t.Cleanup(func() { w.Run("reg", "delete", key, "/v", "AppsUseLightTheme", "/f") })
	calls := filepath.Join(t.TempDir(), "calls")
	for name, peer := range map[string]string{"^王小明 – Earshot$": "王小明", "^Find people – Earshot$": ""} {
		args := []string{bed.Path(calls)}
		if peer != "" {
			args = append(args, peer)
		}
		w.Start(demo, args...)
		w.Await("a dark "+name, 30*time.Second, func() bool {
			window, size := geometry(w, name)
			if size.X < 200 {
				return false
			}
			at := onScreen(w, window, size.X/2, size.Y*3/4) // where no text is
			return w.Pixel(at.X, at.Y) == "#202020"
		})
		w.Shot("wine-dark-" + map[bool]string{true: "find", false: "conversation"}[peer == ""])
		w.Do("key", "Escape")
		w.Await("its end", 10*time.Second, func() bool { _, size := geometry(w, name); return size.X == 0 })
	}
}

// onScreen is where a point of a window is on the screen, by way of the mouse:
// xdotool counts a frame twice when it is asked where a window is.
func onScreen(w *bed.Wine, window string, x, y int) (at image.Point) {
	w.Do("mousemove", "--window", window, strconv.Itoa(x), strconv.Itoa(y))
	text, _ := w.X("getmouselocation", "--shell")
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "X":
			at.X = n
		case "Y":
			at.Y = n
		}
	}
	return at
}
