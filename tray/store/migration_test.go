package store_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/store"
)

// version1 is a history as the first release has left it.
const version1 = `CREATE TABLE messages (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	peer     TEXT NOT NULL,
	peer_key TEXT NOT NULL,
	sender   TEXT NOT NULL,
	text     TEXT NOT NULL,
	at       INTEGER NOT NULL,
	state    TEXT NOT NULL,
	problem  TEXT NOT NULL DEFAULT '',
	unread   INTEGER NOT NULL DEFAULT 0,
	doubtful INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX messages_of_peer ON messages (peer_key, id);
CREATE INDEX messages_unread ON messages (peer_key) WHERE unread = 1;
CREATE INDEX messages_outbox ON messages (id) WHERE state = 'sending';
INSERT INTO messages (peer, peer_key, sender, text, at, state, problem, unread, doubtful) VALUES
	('Bo', 'bo', 'Ann', 'sent', 1, 'sent', '', 0, 0),
	('Bo', 'bo', 'Bo', 'received', 2, 'received', '', 1, 1),
	('Bo', 'bo', 'Ann', 'waits', 3, 'sending', '', 0, 0),
	(',everyone', ',everyone', 'Ann', 'waits for all', 4, 'sending', '', 0, 0),
	('Bo', 'bo', 'Ann', 'failed', 5, 'failed', 'Why.', 0, 0),
	('Cho', 'cho', 'Ann', 'waits too', 6, 'sending', '', 0, 0);
PRAGMA user_version = 1;`

func oldStore(t *testing.T) *store.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "h.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(version1); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

// An old history keeps everything, and what waited goes on waiting.
func TestOldHistoryIsKept(t *testing.T) {
	s := oldStore(t)
	got, err := s.History(t.Context(), "", 0, 10)
	want := []chat.Message{
		{ID: 1, Peer: "Bo", Sender: "Ann", Text: "sent", State: chat.Sent},
		{ID: 2, Peer: "Bo", Sender: "Bo", Text: "received", State: chat.Received, Unread: true, Doubtful: true},
		{ID: 3, Peer: "Bo", Sender: "Ann", Text: "waits", State: chat.Sending},
		{ID: 4, Peer: chat.Everyone, Sender: "Ann", Text: "waits for all", State: chat.Sending},
		{ID: 5, Peer: "Bo", Sender: "Ann", Text: "failed", State: chat.Failed, Problem: "Why."},
		{ID: 6, Peer: "Cho", Sender: "Ann", Text: "waits too", State: chat.Sending},
	}
	for i := range want {
		want[i].At = time.Unix(0, int64(i+1))
	}
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%v\n got %+v\nwant %+v", err, got, want)
	}
	// The index is made of what is there.
	if found := search(t, s, chat.Query{Text: "waits for"}); !slices.Equal(found, []int64{4}) {
		t.Errorf("the old messages are found as %v", found)
	}
	o, err := s.Outbox(t.Context())
	if err != nil || len(o.Items) != 3 || len(o.Deliveries) != 3 {
		t.Fatalf("%+v, %v", o, err)
	}
	ids := make(map[p2p.ItemID]bool)
	for i, id := range []int64{3, 4, 6} {
		item, to := o.Items[i], o.Deliveries[i]
		if item.Message != id || item.Kind != store.KindText || item.Text != want[id-1].Text || item.UID == (p2p.ItemID{}) ||
			to.Item != item.ID || to.Person != want[id-1].Peer || to.Device != (identity.PublicKey{}) {
			t.Errorf("%+v to %+v", item, to)
		}
		ids[item.UID] = true
	}
	if len(ids) != 3 {
		t.Error("two items have one ID")
	}
	if !o.Undelivered[3]["bo"] || !o.Undelivered[6]["cho"] || len(o.Undelivered) != 2 {
		t.Errorf("%+v", o.Undelivered)
	}
	done := &store.Done{Delivery: o.Deliveries[0], Message: 3, State: chat.Sent}
	again := &store.Requeue{
		ID: 5, Item: &store.Item{UID: p2p.ItemID{1}, Kind: store.KindText, Message: 5, Peer: "Bo"}, Deliveries: []store.Delivery{{Person: "Bo"}},
	}
	if err := s.Apply(t.Context(), done, again); err != nil {
		t.Fatal(err)
	}
	if done.Changed == nil || done.Changed.State != chat.Sent || again.Message.State != chat.Sending {
		t.Errorf("%+v, %+v", done.Changed, again.Message)
	}
	if o, err := s.Outbox(t.Context()); err != nil || len(o.Items) != 3 || !o.Undelivered[5]["bo"] || o.Undelivered[3]["bo"] {
		t.Errorf("%+v, %v", o, err)
	}
}

// addressed is a message to several, on its way to these devices.
func addressed(uid byte, to map[string][]identity.PublicKey) *store.Add {
	a := &store.Add{
		Message: chat.Message{Peer: chat.SeveralPeer([]string{"Bo", "Cho"}), Sender: "Ann", Text: "hello", State: chat.Sending, At: time.Unix(1, 0)},
		UID:     p2p.ItemID{uid},
		Item:    &store.Item{UID: p2p.ItemID{uid}, Kind: store.KindText, Audience: p2p.Audience{Kind: p2p.Several, Count: 2, Names: []string{"Bo", "Cho"}}},
	}
	a.Item.Peer = a.Message.Peer
	for name, devices := range to {
		a.Recipients = append(a.Recipients, chat.Recipient{Name: name, State: chat.Sending})
		for _, d := range devices {
			a.Deliveries = append(a.Deliveries, store.Delivery{Person: name, Device: d})
		}
	}
	return a
}

// The state of a message follows those of its receivers, and nothing takes it
// back.
func TestStatesOfReceivers(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "h.db"))
	desk, phone, laptop := identity.PublicKey{1}, identity.PublicKey{2}, identity.PublicKey{3}
	a := addressed(1, map[string][]identity.PublicKey{"Bo": {desk, phone}, "Cho": {laptop}})
	if err := s.Apply(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	id, item := a.Message.ID, a.Item.ID
	done := func(name string, device identity.PublicKey, state chat.State) store.Change {
		return &store.Done{Delivery: store.Delivery{Item: item, Person: name, Device: device}, Message: id, State: state, Problem: "Why."}
	}
	for _, step := range []struct {
		change store.Change
		want   chat.Progress
		state  chat.State
	}{
		{done("Bo", desk, chat.Failed), chat.Progress{Total: 2}, chat.Sending}, // the phone may take it yet
		{done("Bo", phone, chat.Delivered), chat.Progress{Total: 2, Delivered: 1}, chat.Sending},
		{&store.Reach{Person: "bo", Of: []p2p.ItemID{{1}}}, chat.Progress{Total: 2, Delivered: 1, Read: 1}, chat.Sending},
		{done("Bo", desk, chat.Delivered), chat.Progress{Total: 2, Delivered: 1, Read: 1}, chat.Sending},
		{done("Cho", laptop, chat.Failed), chat.Progress{Total: 2, Delivered: 1, Read: 1, Failed: 1}, chat.Read},
		{&store.Reach{Person: "Eve", Of: []p2p.ItemID{{1}}}, chat.Progress{Total: 2, Delivered: 1, Read: 1, Failed: 1}, chat.Read},
		{&store.Reach{Person: "Cho", Of: []p2p.ItemID{{1}}, Acknowledged: true}, chat.Progress{Total: 2, Delivered: 2, Read: 2, Acknowledged: 1}, chat.Read},
	} {
		if err := s.Apply(t.Context(), step.change); err != nil {
			t.Fatal(err)
		}
		got, err := s.Message(t.Context(), id)
		if err != nil || *got.Progress != step.want || got.State != step.state {
			t.Errorf("after %+v: %s, %+v, %v", step.change, got.State, *got.Progress, err)
		}
	}
	if o, err := s.Outbox(t.Context()); err != nil || len(o.Items)+len(o.Deliveries) != 0 {
		t.Errorf("left: %+v, %v", o, err)
	}
}

// What is on its way comes back as it was put in, and ends with its last
// delivery or with the message.
func TestOutbox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	s := open(t, path)
	desk, phone := identity.PublicKey{1}, identity.PublicKey{2}
	a := addressed(1, map[string][]identity.PublicKey{"Bo": {desk, phone}})
	answer := addressed(2, map[string][]identity.PublicKey{"Cho": {{}}})
	answer.Message.ReplyTo, answer.Item.Urgent, answer.Message.Urgent = 1, true, true
	seen := &store.Queue{
		Item:       &store.Item{UID: p2p.ItemID{3}, At: time.Unix(2, 0), Kind: store.KindSeen, Peer: "Bo", Targets: []p2p.ItemID{{7}, {8}}},
		Deliveries: []store.Delivery{{Person: "Bo", Device: desk}, {Device: phone}},
	}
	nowhere := &store.Queue{Item: &store.Item{UID: p2p.ItemID{4}, Kind: store.KindSeen, Peer: "Bo"}}
	if err := s.Apply(t.Context(), a, answer, seen, nowhere); err != nil {
		t.Fatal(err)
	}
	o, err := s.Outbox(t.Context())
	if err != nil || len(o.Items) != 3 || len(o.Deliveries) != 5 {
		t.Fatalf("%+v, %v", o, err)
	}
	if i := o.Items[0]; i.Text != "hello" || i.Audience.Count != 2 || !slices.Equal(i.Audience.Names, []string{"Bo", "Cho"}) {
		t.Errorf("%+v", i)
	}
	if i := o.Items[1]; !i.Urgent || !slices.Equal(i.Targets, []p2p.ItemID{{1}}) {
		t.Errorf("%+v", i)
	}
	if i := o.Items[2]; i.Kind != store.KindSeen || !slices.Equal(i.Targets, []p2p.ItemID{{7}, {8}}) || !i.At.Equal(time.Unix(2, 0)) {
		t.Errorf("%+v", i)
	}
	route := &store.Route{
		Item: o.Items[1].ID, Message: answer.Message.ID,
		Drop: []store.Delivery{{Item: o.Items[1].ID, Person: "cho"}},
		Add:  []store.Delivery{{Item: o.Items[1].ID, Person: "Cho", Device: desk}},
	}
	edit := &store.Edit{Of: p2p.ItemID{1}, Text: "better", At: time.Unix(9, 0)}
	if err := s.Apply(t.Context(), route, edit); err != nil {
		t.Fatal(err)
	}
	if o, err = s.Outbox(t.Context()); err != nil || o.Items[0].Text != "better" || o.Deliveries[2].Device != desk {
		t.Fatalf("%+v, %v", o, err)
	}
	remove := &store.Delete{Of: p2p.ItemID{1}}
	if err := s.Apply(t.Context(), remove); err != nil || remove.Changed == nil {
		t.Fatal(err)
	}
	if o, err = s.Outbox(t.Context()); err != nil || len(o.Items) != 2 || len(o.Deliveries) != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	list, err := s.Recipients(t.Context(), a.Message.ID)
	if err != nil || len(list) != 0 {
		t.Errorf("who never had it: %+v, %v", list, err)
	}
}

// One account's item is stored once, in one round or in two, and two accounts
// may use one ID.
func TestDuplicates(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "h.db"))
	from := func(name string) *store.Add {
		return &store.Add{Message: chat.Message{Peer: name, Sender: name, State: chat.Received, Unread: true}, UID: p2p.ItemID{1}}
	}
	first, again, other, own := from("Bo"), from("ＢＯ"), from("Cho"), addressed(1, nil)
	if err := s.Apply(t.Context(), first, again, other, own); err != nil {
		t.Fatal(err)
	}
	later := from("bo")
	if err := s.Apply(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if first.Duplicate || !again.Duplicate || other.Duplicate || own.Duplicate || !later.Duplicate {
		t.Errorf("%v %v %v %v %v", first.Duplicate, again.Duplicate, other.Duplicate, own.Duplicate, later.Duplicate)
	}
	if all, err := s.History(t.Context(), "", 0, 9); err != nil || len(all) != 3 {
		t.Errorf("%d messages, %v", len(all), err)
	}
	read := &store.ReadItems{Peer: "BO", Of: []p2p.ItemID{{1}, {2}}}
	if err := s.Apply(t.Context(), read); err != nil || read.Count != 1 {
		t.Errorf("%d were read, %v", read.Count, err)
	}
	rows, err := s.Unread(t.Context(), "cho")
	if err != nil || len(rows) != 1 || rows[0].UID != (p2p.ItemID{1}) {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestPeopleAreRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	s := open(t, path)
	bo := store.Known{Name: "Bo", Verified: true, Pins: []store.Pin{
		{Device: identity.PublicKey{1}, Label: "desk", FirstSeen: time.Unix(1, 5)},
		{Device: identity.PublicKey{2}, Label: "phone", FirstSeen: time.Unix(2, 0), Removed: true},
	}}
	own := store.Known{Pins: []store.Pin{{Device: identity.PublicKey{3}, FirstSeen: time.Unix(3, 0)}}}
	status := chat.OwnStatus{Presence: chat.Busy, Text: "away", Display: "Ann", Department: "Sales"}
	if _, ok, err := s.Own(t.Context()); ok || err != nil {
		t.Errorf("remembered before: %v, %v", ok, err)
	}
	if err := s.Apply(t.Context(), store.Remember{Known: bo}, store.Remember{Known: own}, store.SetOwn{Own: status}, store.SetOwn{Own: status}); err != nil {
		t.Fatal(err)
	}
	check := func(want ...store.Known) {
		t.Helper()
		got, err := s.People(t.Context())
		if err != nil || !slices.EqualFunc(got, want, func(a, b store.Known) bool {
			return a.Name == b.Name && a.Verified == b.Verified && a.Classic == b.Classic && slices.Equal(a.Pins, b.Pins)
		}) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	check(own, bo)
	bo.Verified, bo.Classic, bo.Pins = false, true, bo.Pins[:1]
	if err := s.Apply(t.Context(), store.Remember{Known: bo}); err != nil {
		t.Fatal(err)
	}
	check(own, bo)
	if got, ok, err := s.Own(t.Context()); got != status || !ok || err != nil {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
}
