package popup

import (
	"image"
	"maps"
	"testing"

	"earshot/tray/desktoptest"
	"earshot/tray/profile"
)

// Each kind of window comes up as large as it was left, and whole on the monitor
// whatever was remembered.
func TestSizesAreRemembered(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	setup := sample()
	setup.First, setup.Profile = "", t.TempDir()
	kept, err := profile.Open(setup.Profile)
	if err != nil {
		t.Fatal(err)
	}
	open := func(title string) (*popupProcess, string) {
		t.Helper()
		p := startPopup(t, d, setup)
		p.typeable()
		return p, activeWindow(d, title)
	}
	const find, bob = "Find people – Earshot", "Bob – Earshot"
	p, window := open(find)
	usual := d.Geometry(window).Size()
	d.Run("xdotool", "windowsize", "--sync", window, "500", "640")
	d.Type("bob")
	d.Key("Return")
	window = activeWindow(d, bob)
	if got := d.Geometry(window).Size(); got != usual {
		t.Errorf("the conversation is %v, as the other kind of window was left", got)
	}
	d.Run("xdotool", "windowsize", "--sync", window, "610", "530")
	d.Key("Escape")
	p.wantExit()
	if got, want := kept.WindowSizes(), map[string][2]int{"conversation": {610, 530}, "find": {500, 640}}; !maps.Equal(got, want) {
		t.Fatalf("%v was kept, want %v", got, want)
	}

	p, window = open(find)
	if got := d.Geometry(window).Size(); got != image.Pt(500, 640) {
		t.Errorf("the Find window is %v again", got)
	}
	d.Key("Escape")
	p.wantExit()

	// On a small monitor at 200 %, on which the usual size has no room.
	small, err := profile.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	setup.Profile = small.Dir()
	for _, first := range []string{"", "Ann"} {
		setup.First = first
		p := startPopup(t, d, setup, "GDK_SCALE=2")
		p.typeable()
		title := map[string]string{"": find, "Ann": "Ann – Earshot"}[first]
		window := activeWindow(d, title)
		if got, screen := d.Geometry(window), image.Rect(0, 20, 1280, 800); !got.In(screen) {
			t.Errorf("at 200 %% %q is at %v on a screen of %v", title, got, screen)
		}
		if first != "" {
			p.want(report{Call: "read", Peer: "Ann"})
		}
		shot(t, d, "root", "small-2x-"+first)
		d.Key("Escape")
		p.wantExit()
		if got := small.WindowSizes(); len(got) != 0 {
			t.Errorf("%v is remembered, which nobody has chosen", got)
		}
	}
	setup.Profile = kept.Dir()

	// From a larger monitor, and from nowhere.
	setup.First = "Bob"
	for _, size := range [][2]int{{5000, 4000}, {-3, 1}} {
		if err := kept.KeepWindowSizes(map[string][2]int{"conversation": size}); err != nil {
			t.Fatal(err)
		}
		p, window = open(bob)
		const title = 20 // what the window manager adds above, at least
		screen := image.Rect(0, title, 1280, 800)
		if got := d.Geometry(window); !got.In(screen) || got.Dx() < 300 || got.Dy() < 300 {
			t.Errorf("%v became %v on a screen of %v", size, got, screen)
		}
		d.Key("Escape")
		p.wantExit()
		if got := kept.WindowSizes()["conversation"]; got != size {
			t.Errorf("what the person had chosen elsewhere, %v, became %v", size, got)
		}
	}
}
