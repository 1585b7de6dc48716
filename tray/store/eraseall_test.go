package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/tray/chat"
	"earshot/tray/store"
)

// Everything is deleted in one go, and the index goes on with what stays and
// what comes.
func TestEraseEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := open(t, path)
	var changes []store.Change
	for i := range 1500 {
		changes = append(changes, &store.Add{Message: chat.Message{Peer: fmt.Sprint("peer", i%7), Sender: "Ann", Text: fmt.Sprintf("Kassiber %d", i), At: time.Unix(int64(i), 0), State: chat.Sent}})
	}
	changes = append(changes, &store.Add{Message: chat.Message{Peer: "Bo", Sender: "Ann", Text: "on its way", State: chat.Sending}, Item: &store.Item{UID: p2p.ItemID{9}, Kind: store.KindText, Peer: "Bo"}})
	if err := s.Apply(t.Context(), changes...); err != nil {
		t.Fatal(err)
	}
	all := &store.Erase{What: chat.Erasure{All: true}, Now: time.Unix(9, 0)}
	if err := s.Apply(t.Context(), all); err != nil || all.Count != 1500 || all.More || all.Kept != 1 {
		t.Fatalf("%v %+v", err, all)
	}
	add(t, s, chat.Message{Peer: "Bo", Sender: "Bo", Text: "something new", State: chat.Received})
	if a, b, c := search(t, s, chat.Query{Text: "Kassiber"}), search(t, s, chat.Query{Text: "its way"}), search(t, s, chat.Query{Text: "thing new"}); len(a) != 0 || len(b) != 1 || len(c) != 1 {
		t.Errorf("found are %v, %v and %v", a, b, c)
	}
	one := &store.Erase{What: chat.Erasure{Peer: "bo"}, Now: time.Unix(9, 0)}
	if err := s.Apply(t.Context(), one); err != nil || one.Count != 1 {
		t.Fatalf("%v %+v", err, one)
	}
	if c := search(t, s, chat.Query{Text: "thing new"}); len(c) != 0 {
		t.Errorf("the index no longer follows: %v", c)
	}
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("Kassiber 5")) || bytes.Contains(b, []byte("something new")) {
		t.Errorf("the file still holds it (%v)", err)
	}
}
