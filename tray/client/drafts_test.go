package client_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/client"
	"earshot/tray/localapi"
)

// What is written and not sent outlives the client; a message that goes
// another way leaves it alone.
func TestDraftsSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	r := newRig(t, path, nil)
	r.online("Bo")
	bo := chat.Draft{To: "Bo", Text: "half a sentence\xff", Urgent: true}
	gone := chat.Draft{To: "Gone", Text: "who is nowhere on the roster"}
	for _, d := range []chat.Draft{bo, gone, {To: chat.Everyone, Text: "x"}, {To: chat.Everyone, Text: " \n"}} {
		if err := r.KeepDraft(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	r.send("Bo", "by the command line", true)
	r.stop()
	r = newRig(t, path, nil)
	for peer, want := range map[string]string{"ＢＯ": "half a sentence\uFFFD", "Gone": gone.Text, chat.Everyone: "", "Cho": ""} {
		if got, err := r.Draft(t.Context(), peer); err != nil || got.Text != want || got.Urgent != (peer == "ＢＯ") {
			t.Errorf("the draft to %s is %+v, %v; want %q", peer, got, err, want)
		}
	}
	for _, d := range []chat.Draft{{To: "", Text: "x"}, {To: "Bo", Text: strings.Repeat("x", client.MaxText+1)}} {
		if refused, ok := errors.AsType[*localapi.Error](r.KeepDraft(t.Context(), d)); !ok || refused.Text == "" {
			t.Errorf("a draft of %d bytes to %q: %v", len(d.Text), d.To, refused)
		}
	}
}
