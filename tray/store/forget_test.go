package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/tray/chat"
	"earshot/tray/store"
)

// What is old and seen goes, and nothing else; and what was there once is no
// news when it comes again.
func TestForget(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "h.db"))
	now := time.Unix(1_800_000_000, 0)
	old, cutoff := now.Add(-48*time.Hour), now.Add(-24*time.Hour)
	uid := p2p.ItemID{7}
	secure := func() *store.Add {
		return &store.Add{UID: uid, Message: chat.Message{Peer: "Ann", Sender: "Ann", Text: "secure", At: old, State: chat.Received, Secure: true}}
	}
	waiting := &store.Add{
		Message: chat.Message{Peer: "Bo", Sender: "Me", Text: "waiting", At: old, State: chat.Sending}, Recipients: []chat.Recipient{{Name: "Bo", State: chat.Sending}},
		UID: p2p.ItemID{8}, Item: &store.Item{UID: p2p.ItemID{8}, At: old, Kind: store.KindText, Peer: "Bo"}, Deliveries: []store.Delivery{{Person: "Bo"}},
	}
	changes := []store.Change{secure(), waiting,
		&store.Add{Message: chat.Message{Peer: "Ann", Sender: "Me", Text: "sent", At: old, State: chat.Sent}, Recipients: []chat.Recipient{{Name: "Ann", State: chat.Sent}}},
		&store.Add{Message: chat.Message{Peer: "Ann", Sender: "Ann", Text: "unread", At: old, State: chat.Received, Unread: true}},
		&store.Add{Message: chat.Message{Peer: "Ann", Sender: "Ann", Text: "new", At: now, State: chat.Received}},
	}
	if err := s.Apply(t.Context(), changes...); err != nil {
		t.Fatal(err)
	}
	forget := &store.Forget{Before: cutoff, Now: now}
	again := secure()
	if err := s.Apply(t.Context(), forget, again); err != nil {
		t.Fatal(err)
	}
	if forget.Count != 2 || forget.More || !again.Duplicate {
		t.Errorf("%d forgotten, more %v, again %v", forget.Count, forget.More, again.Duplicate)
	}
	var texts []string
	messages, err := s.History(t.Context(), "", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		texts = append(texts, m.Text)
	}
	if len(texts) != 3 || texts[0] != "waiting" || texts[1] != "unread" || texts[2] != "new" {
		t.Errorf("left are %q", texts)
	}
	if outbox, err := s.Outbox(t.Context()); err != nil || len(outbox.Items) != 1 {
		t.Errorf("%+v, %v", outbox, err)
	}
	// After months nobody sends it again.
	if err := s.Apply(t.Context(), &store.Forget{Before: cutoff, Now: now.Add(100 * 24 * time.Hour)}, again); err != nil || again.Duplicate {
		t.Errorf("%v, %v", again.Duplicate, err)
	}
}

func TestForgetMany(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "h.db"))
	var changes []store.Change
	for range 700 {
		changes = append(changes, &store.Add{Message: chat.Message{Peer: "Ann", Sender: "Ann", Text: "x", At: time.Unix(5, 0), State: chat.Received}})
	}
	if err := s.Apply(t.Context(), changes...); err != nil {
		t.Fatal(err)
	}
	for _, want := range []store.Forget{{Count: 500, More: true}, {Count: 200}, {}} {
		f := &store.Forget{Before: time.Unix(6, 0), Now: time.Unix(7, 0)}
		if err := s.Apply(t.Context(), f); err != nil || f.Count != want.Count || f.More != want.More {
			t.Errorf("%+v, %v", f, err)
		}
	}
}
