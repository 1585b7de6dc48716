package popup

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"

	"earshot/tray/desktoptest"
)

// sourceVariable makes the test binary another program, from which things are
// dragged and copied: it holds what, as "files URI", "picture" or "text TEXT".
const sourceVariable = "EARSHOT_TEST_SOURCE"

// sourceTitle is the title of its window, at the screen's upper left.
const sourceTitle = "Source"

// gtkCalls looks up what the source needs beyond the popup's own library.
func gtkCalls(table map[string]any) {
	handle, err := purego.Dlopen("libgtk-3.so.0", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		panic(err)
	}
	for name, f := range table {
		purego.RegisterLibFunc(f, handle, name)
	}
}

// runSource shows a window that can be dragged from, and fills the clipboard
// with the same.
func runSource(what string) {
	type ptr = uintptr
	var (
		initGTK                               func(argc, argv ptr) int32
		windowNew                             func(kind int32) ptr
		title                                 func(window ptr, title string)
		boxNew                                func() ptr
		add                                   func(container, child ptr)
		showAll                               func(widget ptr)
		defaultSize                           func(window ptr, width, height int32)
		sourceSet                             func(widget ptr, mask int32, targets ptr, n, actions int32)
		sourceURIs, sourceText, sourcePicture func(widget ptr)
		connect                               func(object ptr, signal string, f, data, notify ptr, flags int32) uint64
		setURIs                               func(selection, list ptr) int32
		setText                               func(selection ptr, text string, n int32) int32
		setPicture                            func(selection, picture ptr) int32
		pictureNew                            func(space, alpha, bits, width, height int32) ptr
		atom                                  func(name string, existing int32) ptr
		clipboard                             func(selection ptr) ptr
		clipboardWith                         func(clipboard, targets ptr, n uint32, get, clear, data ptr) int32
		clipboardText                         func(clipboard ptr, text string, n int32)
		clipboardPicture                      func(clipboard, picture ptr)
		run                                   func()
	)
	gtkCalls(map[string]any{
		"gtk_init_check": &initGTK, "gtk_window_new": &windowNew, "gtk_window_set_title": &title,
		"gtk_event_box_new": &boxNew, "gtk_container_add": &add, "gtk_widget_show_all": &showAll,
		"gtk_window_set_default_size": &defaultSize, "gtk_drag_source_set": &sourceSet,
		"gtk_drag_source_add_uri_targets": &sourceURIs, "gtk_drag_source_add_text_targets": &sourceText,
		"gtk_drag_source_add_image_targets": &sourcePicture, "g_signal_connect_data": &connect,
		"gtk_selection_data_set_uris": &setURIs, "gtk_selection_data_set_text": &setText,
		"gtk_selection_data_set_pixbuf": &setPicture, "gdk_pixbuf_new": &pictureNew,
		"gdk_atom_intern": &atom, "gtk_clipboard_get": &clipboard, "gtk_clipboard_set_with_data": &clipboardWith,
		"gtk_clipboard_set_text": &clipboardText, "gtk_clipboard_set_image": &clipboardPicture, "gtk_main": &run,
	})
	if initGTK(0, 0) == 0 {
		panic("no display")
	}
	kind, value, _ := strings.Cut(what, " ")
	uri := append([]byte(value), 0)
	list := []*byte{&uri[0], nil}
	picture := pictureNew(0, 0, 8, 16, 16)
	fill := func(selection ptr) {
		switch kind {
		case "files":
			setURIs(selection, ptr(unsafe.Pointer(&list[0])))
		case "text":
			setText(selection, value, -1)
		case "picture":
			setPicture(selection, picture)
		}
	}

	window, box := windowNew(0), boxNew()
	title(window, sourceTitle)
	defaultSize(window, 120, 80)
	add(window, box)
	const button1, copyIt = 1 << 8, 2
	sourceSet(box, button1, 0, 0, copyIt)
	system := clipboard(atom("CLIPBOARD", 0))
	switch kind {
	case "files":
		sourceURIs(box)
		// As a file manager does it: the path can be had as text, too.
		type target struct {
			name        *byte
			flags, info uint32
		}
		names := []string{"text/uri-list\x00", "UTF8_STRING\x00"}
		var targets []target
		for i, name := range names {
			b := []byte(name)
			targets = append(targets, target{&b[0], 0, uint32(i)})
		}
		clipboardWith(system, ptr(unsafe.Pointer(&targets[0])), uint32(len(targets)),
			purego.NewCallback(func(_, selection, info, _ ptr) {
				if uint32(info) == 0 {
					fill(selection)
				} else {
					setText(selection, strings.TrimPrefix(value, "file://"), -1)
				}
			}), purego.NewCallback(func(_, _ ptr) {}), 0)
	case "text":
		sourceText(box)
		clipboardText(system, value, -1)
	case "picture":
		sourcePicture(box)
		clipboardPicture(system, picture)
	}
	connect(box, "drag-data-get", purego.NewCallback(func(_, _, selection, _, _, _ ptr) { fill(selection) }), 0, 0, 0)
	showAll(window)
	run()
}

// startSource starts it and puts its window aside.
func startSource(t *testing.T, d *desktoptest.Desktop, what string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range d.Windows("^" + sourceTitle + "$") {
		d.Run("xdotool", "windowclose", old)
	}
	cmd := exec.Command(self)
	cmd.Env = append(d.Env(), sourceVariable+"="+what)
	d.LaunchCmd(cmd)
	id := d.AwaitWindow("^" + sourceTitle + "$")
	d.Run("xdotool", "windowmove", "--sync", id, "20", "40")
}

// drag drags from the source to a point of a window.
func drag(d *desktoptest.Desktop, window string, x, y int) {
	from := d.Geometry(d.AwaitWindow("^" + sourceTitle + "$"))
	to := d.Geometry(window).Min
	move := func(x, y int) []string { return []string{"mousemove", fmt.Sprint(x), fmt.Sprint(y), "sleep", "0.1"} }
	middle := from.Min.Add(from.Max).Div(2)
	args := move(middle.X, middle.Y)
	args = append(args, "mousedown", "1")
	for _, step := range []int{10, 20, 40} {
		args = append(args, move(middle.X+step, middle.Y+step)...)
	}
	args = append(args, move(to.X+x-4, to.Y+y-4)...)
	args = append(args, move(to.X+x, to.Y+y)...)
	d.Run("xdotool", append(args, "mouseup", "1")...)
}
