package client_test

import (
	"errors"
	"strings"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/localapi"
)

// What is erased is gone from the counts of unread messages as well, and who
// shows messages hears of it. Nobody is told that it was read.
func TestErase(t *testing.T) {
	r := fresh(t)
	r.online("Bo", "Cho")
	for _, text := range []string{"one", "two"} {
		r.net.events <- classicItem("Bo", text, false, true)
		r.state(text, chat.Received)
	}
	r.net.events <- classicItem("Cho", "three", false, true)
	three := r.state("three", chat.Received)
	r.await(func(e chat.Event) bool { return e.Status != nil && e.Status.Unread == 3 })

	if list, err := r.Conversations(t.Context()); err != nil || len(list) != 2 || list[0].Peer != "Cho" || list[1].Unread != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := r.Search(t.Context(), chat.Query{Text: "tw", Limit: -1}); err != nil || len(list) != 1 || list[0].Text != "two" {
		t.Errorf("%+v, %v", list, err)
	}
	erased, err := r.Erase(t.Context(), chat.Erasure{Peer: "BO"})
	if err != nil || erased != (chat.Erased{Count: 2}) {
		t.Errorf("%+v, %v", erased, err)
	}
	if e := r.awaitType(chat.EventErased); e.Peer != "BO" {
		t.Errorf("%+v", e)
	}
	if p, _ := r.person("Bo"); p.Unread != 0 || r.Status().Unread != 1 {
		t.Errorf("%+v, %+v", p, r.Status())
	}
	if erased, err := r.Erase(t.Context(), chat.Erasure{ID: three.ID}); err != nil || erased.Count != 1 || r.Status().Unread != 0 {
		t.Errorf("%+v, %v, %+v", erased, err, r.Status())
	}
	for _, err := range []error{
		func() error { _, err := r.Erase(t.Context(), chat.Erasure{}); return err }(),
		func() error { _, err := r.Search(t.Context(), chat.Query{Text: strings.Repeat("x", 2000)}); return err }(),
	} {
		if refused, ok := errors.AsType[*localapi.Error](err); !ok || refused.Code != localapi.CodeBadRequest {
			t.Errorf("%v", err)
		}
	}
}
