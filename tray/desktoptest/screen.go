//go:build linux

package desktoptest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Click moves the pointer to a point and presses the left button.
func (d *Desktop) Click(at image.Point) {
	d.t.Helper()
	d.click(at, "1")
}

// RightClick moves the pointer to a point and presses the right button.
func (d *Desktop) RightClick(at image.Point) {
	d.t.Helper()
	d.click(at, "3")
}

func (d *Desktop) click(at image.Point, button string) {
	d.t.Helper()
	d.Run("xdotool", "mousemove", strconv.Itoa(at.X), strconv.Itoa(at.Y), "click", button)
}

// Type types text into the focused window, slowly enough for an input method.
func (d *Desktop) Type(text string) {
	d.t.Helper()
	d.Run("xdotool", "type", "--delay", "60", text)
}

// Key presses keys in order, spelled as xdotool does: "Return", "shift+Return".
func (d *Desktop) Key(keys ...string) {
	d.t.Helper()
	d.Run("xdotool", append([]string{"key", "--delay", "60"}, keys...)...)
}

// Windows returns the visible windows whose title matches a regular
// expression.
func (d *Desktop) Windows(title string) []string {
	return d.search("--name", title)
}

// WindowsOf returns the visible windows of programs whose class matches a
// regular expression.
func (d *Desktop) WindowsOf(class string) []string {
	return d.search("--class", class)
}

func (d *Desktop) search(by, pattern string) []string {
	out, err := d.try("xdotool", "search", "--onlyvisible", by, pattern)
	if err != nil {
		return nil // xdotool fails when it finds none
	}
	return strings.Fields(out)
}

// AwaitWindow waits for a visible window by its title and returns its ID.
func (d *Desktop) AwaitWindow(title string) string {
	d.t.Helper()
	var id string
	d.Await("a window titled "+title, func() bool {
		found := d.Windows(title)
		if len(found) > 0 {
			id = found[0]
		}
		return id != ""
	})
	return id
}

// Geometry is where a window is on the screen; empty if it is gone.
func (d *Desktop) Geometry(window string) image.Rectangle {
	out, err := d.try("xdotool", "getwindowgeometry", "--shell", window)
	if err != nil {
		return image.Rectangle{}
	}
	value := map[string]int{}
	for line := range strings.Lines(out) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), "=")
		value[name], _ = strconv.Atoi(number)
	}
	return image.Rect(0, 0, value["WIDTH"], value["HEIGHT"]).Add(image.Pt(value["X"], value["Y"]))
}

// Screenshot saves a picture of the screen as NAME.png among the test's
// artefacts and returns its path. The folder is EARSHOT_ARTIFACTS, or
// artifacts at the module's root.
func (d *Desktop) Screenshot(name string) string {
	d.t.Helper()
	file := filepath.Join(Artifacts(d.t), name+".png")
	// import refuses a screen it can't grab, as an open menu grabs it first;
	// a root window can always be read.
	if out, err := d.try("import", "-silent", "-window", "root", file); err != nil {
		d.t.Errorf("no picture of the screen: %v %s", err, out)
	}
	return file
}

// Artifacts is the folder for what a person should look at.
func Artifacts(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("EARSHOT_ARTIFACTS")
	if dir == "" {
		out, err := exec.Command("go", "env", "GOMOD").Output()
		if err != nil {
			t.Fatalf("the module's root is unknown: %v", err)
		}
		dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "artifacts")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Screen is what the screen shows.
func (d *Desktop) Screen() image.Image {
	d.t.Helper()
	out, err := d.try("import", "-silent", "-window", "root", "-depth", "8", "png:"+filepath.Join(d.dir, "screen.png"))
	if err != nil {
		d.t.Fatalf("no picture of the screen: %v %s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(d.dir, "screen.png"))
	if err != nil {
		d.t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		d.t.Fatal(err)
	}
	return picture
}

// TrayItems returns the names of the tray icons that the panel has taken.
func (d *Desktop) TrayItems() []string {
	value, err := d.conn.Object(watcher, "/StatusNotifierWatcher").GetProperty(watcher + ".RegisteredStatusNotifierItems")
	if err != nil {
		return nil
	}
	items, _ := value.Value().([]string)
	return items
}

// AwaitTrayIcon waits until the panel shows a tray icon and returns its
// middle.
func (d *Desktop) AwaitTrayIcon() image.Point {
	d.t.Helper()
	d.Await("an icon in the tray", func() bool { return len(d.TrayItems()) > 0 })
	var at image.Point
	d.Await("a drawn tray icon", func() bool {
		panel := image.Rect(0, 0, 200, 30)
		ink := inked(d.Screen(), panel, 4)
		if ink.Empty() {
			return false
		}
		at = image.Pt((ink.Min.X+ink.Max.X)/2, (ink.Min.Y+ink.Max.Y)/2)
		return true
	})
	return at
}

// OpenTrayMenu clicks the tray icon and returns the middles of the menu's
// rows, separators left out.
func (d *Desktop) OpenTrayMenu() []image.Point {
	d.t.Helper()
	d.RightClick(d.AwaitTrayIcon())
	return d.MenuRows()
}

// MenuRows waits for the tray's open menu and returns the middles of its rows,
// separators left out.
func (d *Desktop) MenuRows() []image.Point {
	d.t.Helper()
	var rows []image.Point
	d.Await("the tray's menu", func() bool {
		menu := d.trayMenu()
		if menu.Empty() {
			return false
		}
		rows = textRows(d.Screen(), menu)
		return len(rows) > 0
	})
	return rows
}

// trayMenu is where the open menu of a tray icon is, or empty.
func (d *Desktop) trayMenu() image.Rectangle {
	for _, id := range d.WindowsOf("[Ww]rapper-2.0") {
		if g := d.Geometry(id); g.Dy() > 40 && g.Dx() > 40 {
			return g
		}
	}
	return image.Rectangle{}
}

// inked is the smallest rectangle around what differs from the area's upper
// right corner; empty if it is smaller than least in a direction.
func inked(picture image.Image, area image.Rectangle, least int) image.Rectangle {
	background := picture.At(area.Max.X-1, area.Min.Y+area.Dy()/2)
	var ink image.Rectangle
	for y := area.Min.Y + 2; y < area.Max.Y-2; y++ {
		for x := area.Min.X + 2; x < area.Max.X; x++ {
			if differs(picture.At(x, y), background) {
				ink = ink.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	if ink.Dx() < least || ink.Dy() < least {
		return image.Rectangle{}
	}
	return ink
}

// textRows finds lines of text as horizontal bands that hold something other
// than the background.
func textRows(picture image.Image, area image.Rectangle) []image.Point {
	const border, separator = 3, 4
	area = area.Inset(border)
	background := picture.At(area.Max.X-1, area.Min.Y+1)
	var rows []image.Point
	top := -1
	for y := area.Min.Y; y <= area.Max.Y; y++ {
		ink := false
		for x := area.Min.X; x < area.Max.X && y < area.Max.Y; x++ {
			if differs(picture.At(x, y), background) {
				ink = true
				break
			}
		}
		switch {
		case ink && top < 0:
			top = y
		case !ink && top >= 0:
			if y-top > separator {
				rows = append(rows, image.Pt(area.Min.X+area.Dx()/3, (top+y)/2))
			}
			top = -1
		}
	}
	return rows
}

func differs(a, b color.Color) bool {
	const much = 24 << 8
	ar, ag, ab, _ := a.RGBA()
	br, bg, bb, _ := b.RGBA()
	gap := func(x, y uint32) uint32 { return max(x, y) - min(x, y) }
	return gap(ar, br) > much || gap(ag, bg) > much || gap(ab, bb) > much
}

func (d *Desktop) kill(pid int) {
	d.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		d.t.Fatal(fmt.Errorf("process %d: %w", pid, err))
	}
}
