package popup

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/desktoptest"
)

// What is written and not sent is there again after the window was closed,
// after the popup was killed, and after Earshot was ended; it is gone once it is
// sent.
func TestDraftsSurvive(t *testing.T) {
	d := openDesktop(t, desktoptest.Options{})
	setup := sample()
	setup.First, setup.Drafts = "Bob", filepath.Join(t.TempDir(), "drafts")
	if err := os.WriteFile(setup.Drafts, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() *popupProcess {
		t.Helper()
		p := startPopup(t, d, setup)
		p.typeable()
		activeWindow(d, "Bob – Earshot")
		return p
	}
	kept := func() string { return readDrafts(setup.Drafts)["Bob"].Text }

	p := open()
	d.Type("closed ")
	d.Key("Escape")
	p.wantExit()
	if kept() != "closed " {
		t.Fatalf("%q was kept", kept())
	}

	p = open()
	d.Type("killed ")
	d.Await("the draft to be kept while somebody pauses", func() bool { return kept() == "closed killed " })
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-p.exited; err == nil {
		t.Error("it ended by itself")
	}

	p = open()
	d.Type("ended")
	if err := p.orders.Close(); err != nil {
		t.Fatal(err)
	}
	p.wantExit()

	p = open()
	shot(t, d, activeWindow(d, "Bob – Earshot"), "draft")
	d.Key("Return")
	p.want(report{Call: "send", Peer: "Bob", Text: "closed killed ended"})
	d.Key("Escape")
	p.wantExit()
	if got, left := readDrafts(setup.Drafts)["Bob"]; left {
		t.Errorf("what was sent is kept as %+v", got)
	}

	// A message that the engine refuses is a draft again.
	p = open()
	p.order(order{Refuse: "Why not."})
	d.Type("refused")
	d.Key("Return")
	p.want(report{Call: "send", Peer: "Bob", Text: "refused"})
	d.Await("the refused message to be kept", func() bool { return kept() == "refused" })
	if got := readDrafts(setup.Drafts); len(got) != 1 || got["Bob"] != (chat.Draft{To: "Bob", Text: "refused"}) {
		t.Errorf("kept %+v", got)
	}
	d.Key("Escape")
	p.wantExit()
}
