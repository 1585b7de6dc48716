package store_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/tray/chat"
	"earshot/tray/store"
)

func search(t testing.TB, s *store.Store, q chat.Query) (ids []int64) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	list, err := s.Search(t.Context(), q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	for _, m := range list {
		ids = append(ids, m.ID)
	}
	return ids
}

func TestSearch(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "history.db"))
	for i, m := range []struct{ peer, text string }{
		{"Bo", "Lunch at noon?"},
		{"Bo", "中午一起吃饭吗？我在人民广场"},
		{"Cho", "100 % of AT&T, say \"yes\" or not"},
		{"Cho", "Élan vital, Straße"},
		{"Bo", "吃"},
		{"Bo", "OK 😀👍"},
		{"Cho", "under_score and back\\slash"},
	} {
		add(t, s, chat.Message{Peer: m.peer, Sender: m.peer, Text: m.text, At: time.Unix(int64(i), 0), State: chat.Received})
	}
	for _, test := range []struct {
		q    chat.Query
		want []int64
	}{
		{chat.Query{}, []int64{1, 2, 3, 4, 5, 6, 7}},
		{chat.Query{Text: "LUNCH"}, []int64{1}},
		{chat.Query{Text: "noon lunch"}, []int64{1}},
		{chat.Query{Text: `"noon lunch"`}, nil},
		{chat.Query{Text: `“at noon”`}, []int64{1}},
		{chat.Query{Text: "一起吃饭"}, []int64{2}},
		{chat.Query{Text: "人民广"}, []int64{2}},
		{chat.Query{Text: "吃饭"}, []int64{2}},
		{chat.Query{Text: "吃"}, []int64{2, 5}},
		{chat.Query{Text: "人民广场 吃"}, []int64{2}},
		{chat.Query{Text: "at"}, []int64{1, 3}},
		{chat.Query{Text: "%"}, []int64{3}},
		{chat.Query{Text: "_"}, []int64{7}},
		{chat.Query{Text: `\`}, []int64{7}},
		{chat.Query{Text: "é"}, []int64{4}},
		{chat.Query{Text: "ÉLAN"}, []int64{4}},
		{chat.Query{Text: "😀"}, []int64{6}},
		{chat.Query{Text: "AND NOT OR NEAR("}, nil},
		{chat.Query{Text: "*"}, nil},
		{chat.Query{Text: "a", Peer: "bo"}, []int64{1}},
		{chat.Query{Text: "say", Peer: "Bo"}, nil},
		{chat.Query{Limit: 2}, []int64{6, 7}},
		{chat.Query{Before: 3, Limit: 1}, []int64{2}},
		{chat.Query{After: 3, Limit: 2}, []int64{4, 5}},
		{chat.Query{After: chat.Beginning, Limit: 2}, []int64{1, 2}},
		{chat.Query{Text: "吃", After: 2}, []int64{5}},
		{chat.Query{Text: "吃", Before: 5}, []int64{2}},
	} {
		if got := search(t, s, test.q); !slices.Equal(got, test.want) {
			t.Errorf("%+v: %v, want %v", test.q, got, test.want)
		}
	}
}

// An edited message is found by its new text, one that was taken back not at all.
func TestTheIndexFollows(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "history.db"))
	uid := p2p.ItemID{1}
	first := &store.Add{UID: uid, Message: chat.Message{Peer: "Bo", Sender: "Bo", Text: "first words", At: time.Unix(1, 0), State: chat.Received}}
	edit := &store.Edit{Author: "Bo", Of: uid, Text: "second thoughts", At: time.Unix(2, 0)}
	if err := s.Apply(t.Context(), first, edit); err != nil {
		t.Fatal(err)
	}
	if got := search(t, s, chat.Query{Text: "words"}); got != nil {
		t.Errorf("the old text is found: %v", got)
	}
	if got := search(t, s, chat.Query{Text: "thoughts"}); len(got) != 1 {
		t.Errorf("the new text is found as %v", got)
	}
	if err := s.Apply(t.Context(), &store.Delete{Author: "Bo", Of: uid}); err != nil {
		t.Fatal(err)
	}
	if got := search(t, s, chat.Query{Text: "thoughts"}); got != nil {
		t.Errorf("what was taken back is found: %v", got)
	}
}

// What is erased is gone: from the list, the index, and the bytes on the disk.
// What is on its way stays, and a copy that comes later is no message.
func TestErase(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "history.db"))
	for i := range 5000 {
		add := &store.Add{UID: p2p.ItemID{byte(i), byte(i >> 8), 1}, Message: chat.Message{
			Peer: "Bo", Sender: "Bo", Text: fmt.Sprintf("Kassiber %d", i), At: time.Unix(int64(i), 0), State: chat.Received, Unread: i%1000 == 0,
		}}
		if i%1000 != 0 {
			continue
		}
		if err := s.Apply(t.Context(), add); err != nil {
			t.Fatal(err)
		}
	}
	var changes []store.Change
	for i := range 600 {
		changes = append(changes, &store.Add{Message: chat.Message{Peer: "Bo", Sender: "Ann", Text: fmt.Sprintf("Kassiber %d", i), At: time.Unix(int64(i), 0), State: chat.Sent}})
	}
	changes = append(changes,
		&store.Add{Message: chat.Message{Peer: "Bo", Sender: "Ann", Text: "Kassiber on its way", State: chat.Sending}, Item: &store.Item{UID: p2p.ItemID{9}, Kind: store.KindText, Peer: "Bo"}},
		&store.Add{Message: chat.Message{Peer: "Cho", Sender: "Cho", Text: "somebody else", State: chat.Received}})
	if err := s.Apply(t.Context(), changes...); err != nil {
		t.Fatal(err)
	}
	count, unread := 0, 0
	for more := true; more; {
		e := &store.Erase{What: chat.Erasure{Peer: "bo"}, Now: time.Unix(9, 0)}
		if err := s.Apply(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		more, count, unread = e.More, count+e.Count, unread+e.Unread["Bo"]
		if !more && e.Kept != 1 {
			t.Errorf("%d are kept", e.Kept)
		}
	}
	if count != 605 || unread != 5 {
		t.Errorf("%d erased, %d of them unread", count, unread)
	}
	if got := search(t, s, chat.Query{Text: "Kassiber"}); len(got) != 1 {
		t.Errorf("still found: %v", got)
	}
	again := &store.Add{UID: p2p.ItemID{0, 0, 1}, Message: chat.Message{Peer: "Bo", Sender: "Bo", Text: "Kassiber 0", State: chat.Received}}
	if err := s.Apply(t.Context(), again); err != nil || !again.Duplicate {
		t.Errorf("a copy of what was erased is a message: %v", err)
	}
	one := search(t, s, chat.Query{Peer: "Cho"})
	e := &store.Erase{What: chat.Erasure{ID: one[0]}}
	if err := s.Apply(t.Context(), e); err != nil || e.Count != 1 {
		t.Errorf("%v %+v", err, e)
	}
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"history.db", "history.db-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, gone := range []string{"Kassiber 500", "somebody else"} {
			if bytes.Contains(b, []byte(gone)) {
				t.Errorf("%s still holds %q", name, gone)
			}
		}
	}
}

// BenchmarkSearch looks through 200,000 messages; like is the floor, a look at
// each of them.
func BenchmarkSearch(b *testing.B) {
	s, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "history.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	const many = 200_000
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the meeting about report budget 我们 明天 下午 开会 请 把 文件 发给 张三 谢谢 release server please check again tomorrow lunch coordinator invoice customer")
	began := time.Now()
	for i := 0; i < many; {
		var changes []store.Change
		for range 10_000 {
			var text strings.Builder
			for range 4 + random.IntN(16) {
				text.WriteString(words[random.IntN(len(words))] + " ")
			}
			if i%20_000 == 7 {
				text.WriteString("quetzalcoatl 青海湖边 ☂")
			}
			changes = append(changes, &store.Add{Message: chat.Message{Peer: fmt.Sprint("peer", i%50), Sender: "Ann", Text: text.String(), At: time.Unix(int64(i), 0), State: chat.Received}})
			i++
		}
		if err := s.Apply(b.Context(), changes...); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("%d messages stored in %v", many, time.Since(began).Round(time.Millisecond))
	for _, test := range []struct{ name, text string }{
		{"rare", "quetzalcoatl"}, {"rare-chinese", "青海湖"}, {"common", "coordinator"}, {"two-words", "invoice quetzalcoatl"}, {"none", "zzzzz"},
		{"two-characters", "青海"}, {"one-character", "☂"},
	} {
		b.Run(test.name, func(b *testing.B) {
			for b.Loop() {
				if got := search(b, s, chat.Query{Text: test.text, Limit: 50}); (len(got) == 0) != (test.name == "none") {
					b.Fatal(got)
				}
			}
		})
		b.Run(test.name+"/like", func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Scan(b.Context(), test.text, 50); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
