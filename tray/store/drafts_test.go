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
