package localapi_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"earshot/tray/chat"
)

func (e *engine) Search(_ context.Context, q chat.Query) ([]chat.Message, error) {
	e.note("search %+v", q)
	return []chat.Message{{ID: 3, Peer: "Bo", Text: "found"}}, nil
}

func (e *engine) Conversations(context.Context) ([]chat.Conversation, error) {
	return []chat.Conversation{{Peer: "Bo", Unread: 1, Last: time.Unix(5, 0).UTC()}}, nil
}

func (e *engine) Erase(_ context.Context, what chat.Erasure) (chat.Erased, error) {
	e.note("erase %+v", what)
	return chat.Erased{Count: 4, Kept: 1}, nil
}

func TestHistoryCalls(t *testing.T) {
	e, c, _ := serve(t)
	q := chat.Query{Text: "\"吃 饭\"", Peer: "Bo", Before: 9, After: 1, Limit: 7}
	if list, err := c.Search(t.Context(), q); err != nil || len(list) != 1 || list[0].Text != "found" {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := c.Conversations(t.Context()); err != nil || len(list) != 1 || list[0].Peer != "Bo" || list[0].Unread != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if erased, err := c.Erase(t.Context(), chat.Erasure{Peer: "Bo"}); err != nil || erased != (chat.Erased{Count: 4, Kept: 1}) {
		t.Errorf("%+v, %v", erased, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	want := []string{`search {Text:"吃 饭" Peer:Bo Before:9 After:1 Limit:7}`, "erase {ID:0 Peer:Bo All:false}"}
	if !slices.Equal(e.calls, want) {
		t.Errorf("%q", e.calls)
	}
}
