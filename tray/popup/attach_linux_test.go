package popup

import (
	"testing"

	"earshot/tray/desktoptest"
)

// Files and pictures that are pasted or dropped are refused in a sentence, and
// nothing that was written is lost; text and links go into the entry.
func TestPasteAndDrop(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	setup := sample()
	setup.First = "Bob"
	p := startPopup(t, d, setup)
	p.typeable()
	window := activeWindow(d, "Bob – Earshot")
	box := d.Geometry(window)
	entry, messages := box.Dy()-65, box.Dy()/3
	noticed := func() bool { // its ground is orange, that of the messages white
		_, _, blue, _ := d.Screen().At(box.Min.X+6, d.Geometry(window).Max.Y-100).RGBA()
		return blue < 0xe8e8
	}
	focus := func() {
		t.Helper()
		d.Run("xdotool", "windowactivate", "--sync", window)
	}
	refused := func(what string) {
		t.Helper()
		d.Await("the notice about "+what, noticed)
		shot(t, d, window, "refused-"+what)
		focus()
		d.Type(".")
		d.Await("the end of the notice about "+what, func() bool { return !noticed() })
	}
	d.Type("written")

	startSource(t, d, "files file:///home/ann/plan.pdf")
	focus()
	d.Key("ctrl+v")
	refused("pasted-files")
	drag(d, window, 80, entry)
	refused("dropped-files")
	drag(d, window, 80, messages)
	refused("files-on-messages")

	startSource(t, d, "picture")
	focus()
	d.Key("ctrl+v")
	refused("pasted-picture")
	drag(d, window, 80, messages)
	refused("dropped-picture")

	startSource(t, d, "text pasted ")
	focus()
	d.Key("ctrl+v")
	drag(d, window, 80, messages)
	focus()
	d.Key("ctrl+End")
	d.Type("end")
	startSource(t, d, "files https://example.com/a")
	focus()
	d.Key("ctrl+v")
	d.Type("!")
	shot(t, d, window, "pasted")
	d.Key("Return")
	p.want(report{Call: "send", Peer: "Bob", Text: "written.....pasted pasted endhttps://example.com/a!"})
	d.Key("Escape")
	p.wantExit()
}
