package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/store"
)

func TestDraftsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	bo := chat.Draft{To: "Bo", Text: "half a\nsentence", ReplyTo: 7, Urgent: true}
	set := func(d chat.Draft) {
		t.Helper()
		if err := s.Apply(t.Context(), store.SetDraft{Draft: d, At: time.Unix(1, 0)}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(peer string, want chat.Draft) {
		t.Helper()
		if got, err := s.Draft(t.Context(), peer); err != nil || got != want {
			t.Errorf("the draft to %s is %+v, %v; want %+v", peer, got, err, want)
		}
	}
	want("Bo", chat.Draft{To: "Bo"})
	set(chat.Draft{To: "bo", Text: "before"})
	set(bo)
	set(chat.Draft{To: chat.Everyone, Text: "cake"})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	want("Bo", bo)
	want("Cho", chat.Draft{To: "Cho"})
	set(chat.Draft{To: "Bo"})
	want("Bo", chat.Draft{To: "Bo"})
	want(chat.Everyone, chat.Draft{To: chat.Everyone, Text: "cake"})
}

// What is deleted takes what was written to it along; what is old enough to be
// forgotten, too.
func TestDraftsAreErased(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "history.db"))
	now := time.Unix(1000, 0)
	kept := func() (names string) {
		t.Helper()
		for _, name := range []string{"Ann", "Bo", "Cy"} {
			d, err := s.Draft(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			if d.Text != "" {
				names += name + " "
			}
		}
		return names
	}
	for i, name := range []string{"Ann", "Bo", "Cy"} {
		draft := store.SetDraft{Draft: chat.Draft{To: name, Text: "so far"}, At: now.Add(time.Duration(i) * time.Minute)}
		if err := s.Apply(t.Context(), draft); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		change store.Change
		want   string
	}{
		{&store.Erase{What: chat.Erasure{ID: 7}, Now: now}, "Ann Bo Cy "},
		{&store.Forget{Before: now.Add(30 * time.Second), Now: now}, "Bo Cy "},
		{&store.Erase{What: chat.Erasure{Peer: "ＢＯ"}, Now: now}, "Cy "},
		{&store.Erase{What: chat.Erasure{All: true}, Now: now}, ""},
	} {
		if err := s.Apply(t.Context(), step.change); err != nil {
			t.Fatal(err)
		}
		if got := kept(); got != step.want {
			t.Errorf("after %T drafts to %q are left, want %q", step.change, got, step.want)
		}
	}
}
