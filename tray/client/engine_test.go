package client_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/tray/chat"
	"earshot/tray/client"
	"earshot/tray/localapi"
	"earshot/tray/store"
)

// The first login tells of nobody's coming; one after a loss tells of those
// who really came or went meanwhile.
func TestOnlyRealDifferencesAreLogins(t *testing.T) {
	r := fresh(t)
	r.net.events <- p2p.Connected{Self: who("Me"), Roster: []p2p.Person{who("Ann"), who("Bo"), who("Me")}}
	r.net.events <- p2p.Came{Person: who("Me")}
	r.net.events <- p2p.Came{Person: who("Cho")}
	e, before := r.await(func(e chat.Event) bool { return e.Type == chat.EventLogin })
	if e.Person.Name != "Cho" || slices.Contains(before, chat.EventLogout) {
		t.Fatalf("%+v after %v", e.Person, before)
	}
	r.net.events <- p2p.Disconnected{Cause: p2p.ErrNoAnswer, Retry: time.Now()}
	if e := r.awaitType(chat.EventStatus); e.Status.Connection != chat.Offline || !strings.HasSuffix(e.Status.Problem, ".") {
		t.Fatalf("status %+v", e.Status)
	}
	if e := r.awaitType(chat.EventRoster); len(e.Roster) != 3 || !e.Roster[0].Online || !e.Roster[0].Stale {
		t.Fatalf("the roster is not kept as stale: %+v", e.Roster)
	}
	r.net.events <- p2p.Connecting{}
	r.net.events <- p2p.Connected{Self: who("Me"), Roster: []p2p.Person{who("Bo"), who("Cho"), who("Dee")}}
	r.net.events <- p2p.Left{Name: "Bo"}
	var got []string
	r.await(func(e chat.Event) bool {
		if e.Person != nil {
			got = append(got, fmt.Sprint(e.Type, " ", e.Person.Name, " ", e.Person.Online))
		}
		return len(got) == 3
	})
	want := []string{"logout Ann false", "login Dee true", "logout Bo false"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, not %q", got, want)
	}
	if s := r.Status(); s.Connection != chat.Online || s.Problem != "" {
		t.Errorf("status %+v", s)
	}
}

func TestSendAndItsErrors(t *testing.T) {
	r := fresh(t)
	r.online("Bo")
	if m := r.send("ｂＯ", "hello", true); m.State != chat.Sent || m.Peer != "Bo" || m.Sender != "Me" {
		t.Errorf("%+v", m)
	}
	for to, text := range map[string]string{"Nobody": "x", "": "x", "me": "x", "Bo": " \n"} {
		_, err := r.Send(t.Context(), chat.Draft{To: to, Text: text}, true)
		if refused, ok := errors.AsType[*localapi.Error](err); !ok || !strings.HasSuffix(refused.Text, ".") {
			t.Errorf("to %q: %v", to, err)
		}
	}
	if _, err := r.Send(t.Context(), chat.Draft{To: "Bo", Text: strings.Repeat("x", client.MaxText+1)}, false); err == nil {
		t.Error("a text without end was taken")
	}
	if m := r.send(chat.Everyone, "all", true); m.State != chat.Sent {
		t.Errorf("%+v", m)
	}
	if got, want := r.net.list(), []string{"Bo: hello", "all: all"}; !slices.Equal(got, want) {
		t.Errorf("sent %q", got)
	}
}

// Messages to one person leave in order, whoever sends them and whatever
// happens to the connection; those to others don't wait for them.
func TestOrderOfAPersonsMessages(t *testing.T) {
	r := newRig(t, filepath.Join(t.TempDir(), "h.db"), nil)
	r.net.gate = make(chan struct{})
	r.online("Bo", "Cho")
	var want []string
	for i := range 20 {
		r.send("Bo", fmt.Sprint(i), false)
		want = append(want, fmt.Sprint("Bo: ", i))
	}
	for range 20 {
		r.net.gate <- struct{}{}
	}
	r.state("19", chat.Sent)
	if got := r.net.list(); !slices.Equal(got, want) {
		t.Errorf("sent %q", got)
	}
}

func TestMessageWaitsForThePerson(t *testing.T) {
	r := fresh(t)
	r.online("Bo")
	r.net.events <- p2p.Left{Name: "Bo"}
	r.awaitType(chat.EventLogout)
	if m := r.send("Bo", "later", true); m.State != chat.Sending {
		t.Fatalf("%+v", m)
	}
	r.net.events <- p2p.Came{Person: who("Bo")}
	r.state("later", chat.Sent)
	if p, _ := r.person("Bo"); p.LastMessage.IsZero() {
		t.Errorf("%+v", p)
	}
}

func TestFailedMessageGoesAgainWhenAsked(t *testing.T) {
	r := fresh(t)
	r.online("Bo")
	r.net.setFail("Bo", p2p.ErrUnreachable)
	m := r.send("Bo", "hello", true)
	if m.State != chat.Failed || !strings.Contains(m.Problem, "Bo") || !strings.HasSuffix(m.Problem, ".") {
		t.Fatalf("%+v", m)
	}
	r.net.setFail("Bo", nil)
	if err := r.Retry(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	r.state("hello", chat.Sent)
	if err := r.Retry(t.Context(), m.ID); err == nil {
		t.Error("a sent message went again")
	}
	if err := r.Retry(t.Context(), 99); err == nil {
		t.Error("a message that isn't there went again")
	}
}

// Without a coordinator a message to all waits, as does one whose transport
// finds itself not connected.
func TestMessagesWaitForTheCoordinator(t *testing.T) {
	r := fresh(t)
	if m := r.send(chat.Everyone, "to all", true); m.State != chat.Sending {
		t.Fatalf("%+v", m)
	}
	r.online("Bo")
	r.state("to all", chat.Sent)
	r.net.setFail("Bo", p2p.ErrNotConnected)
	if m := r.send("Bo", "soon", true); m.State != chat.Sending {
		t.Fatalf("%+v", m)
	}
	r.net.setFail("Bo", nil)
	r.online("Bo")
	r.state("soon", chat.Sent)
}

// What is still Sending after a crash goes when the person is online, once,
// and in order.
func TestOutboxSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	r := newRig(t, path, nil)
	r.net.gate = make(chan struct{}) // nothing ever leaves
	r.online("Bo")
	r.send("Bo", "one", false)
	r.send("Bo", "two", false)
	r.stop()
	if !r.net.out {
		t.Error("the network was not left in order")
	}
	r = newRig(t, path, nil)
	if _, ok := r.person("Bo"); !ok {
		t.Error("Bo is not on the roster although there is a conversation")
	}
	r.online()
	if m := r.send("Bo", "three", true); m.State != chat.Sending {
		t.Fatalf("%+v", m)
	}
	r.net.events <- p2p.Came{Person: who("Bo")}
	r.state("three", chat.Sent)
	if got, want := r.net.list(), []string{"Bo: one", "Bo: two", "Bo: three"}; !slices.Equal(got, want) {
		t.Errorf("sent %q", got)
	}
}

func TestReceivedMessagesAreStoredFirst(t *testing.T) {
	r := fresh(t)
	r.online("Bo")
	r.net.events <- classicItem("Me", "my own echo", true, true)
	r.net.events <- classicItem("bo", "hello", false, true)
	m := r.state("hello", chat.Received)
	if stored, err := r.store.Message(t.Context(), m.ID); err != nil || stored.Text != "hello" {
		t.Fatalf("announced and not stored: %+v, %v", stored, err)
	}
	if m.Sender != "Bo" || !m.Unread || m.Doubtful {
		t.Errorf("%+v", m)
	}
	r.net.events <- classicItem("Bo", "forged", false, false)
	r.net.events <- classicItem("Bo", "to all", true, true)
	if m := r.state("forged", chat.Received); !m.Doubtful {
		t.Errorf("%+v", m)
	}
	if m := r.state("to all", chat.Received); m.Peer != chat.Everyone || m.Sender != "Bo" {
		t.Errorf("%+v", m)
	}
	r.await(func(e chat.Event) bool { return e.Status != nil && e.Status.Unread == 3 })
	if err := r.MarkRead(t.Context(), "BO"); err != nil {
		t.Fatal(err)
	}
	if p, _ := r.person("Bo"); p.Unread != 0 || r.Status().Unread != 1 {
		t.Errorf("%+v, %+v", p, r.Status())
	}
	all, err := r.History(t.Context(), "", 0, 10)
	if err != nil || len(all) != 3 || all[0].Unread {
		t.Errorf("%+v, %v", all, err)
	}
}

// Names that are on no roster are free to invent, so there is a limit to what
// they can fill the history with; people on the roster aren't held by it.
func TestStrangersAreLimited(t *testing.T) {
	r := fresh(t)
	r.online("Bo")
	for i := range 200 {
		r.net.events <- classicItem(fmt.Sprint("stranger ", i), "buy", false, false)
	}
	r.net.events <- classicItem("Bo", "end", false, true)
	r.state("end", chat.Received)
	all, err := r.History(t.Context(), "", 0, 1000)
	if err != nil || len(all) > 40 || len(all) < 20 {
		t.Errorf("%d messages stored, %v", len(all), err)
	}
}

// A subscriber that doesn't read costs bounded memory, and learns everything
// from one snapshot.
func TestSlowSubscriberGetsASnapshot(t *testing.T) {
	r := fresh(t)
	r.online("Bo")
	slow := r.Subscribe(localapi.Watcher)
	for i := range 2000 {
		r.net.events <- p2p.Came{Person: who(fmt.Sprint("P", i))}
		r.awaitType(chat.EventLogin)
	}
	r.stop()
	events := drain(t, slow)
	if len(events) > 1100 {
		t.Errorf("%d events were kept", len(events))
	}
	slow2 := r.Subscribe(localapi.Watcher)
	if got := drain(t, slow2); len(got) != 0 {
		t.Errorf("after the end: %+v", got)
	}
}

func TestSlowSubscriberResumes(t *testing.T) {
	r := fresh(t)
	r.online("Bo")
	slow := r.Subscribe(localapi.Watcher)
	defer slow.Close()
	for i := range 600 {
		r.net.events <- p2p.Came{Person: who(fmt.Sprint("P", i))}
		r.awaitType(chat.EventLogin)
	}
	e, err := slow.Next(t.Context())
	if err != nil || e.Type != chat.EventSnapshot || len(e.Roster) != 601 {
		t.Fatalf("%v with %d people, %v", e.Type, len(e.Roster), err)
	}
	r.net.events <- p2p.Left{Name: "P0"}
	if e, err := slow.Next(t.Context()); err != nil || e.Type != chat.EventLogout {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestQuitEndsEverything(t *testing.T) {
	r := fresh(t)
	r.online("Bo")
	r.Quit()
	r.Quit()
	drain(t, r.sub)
	if _, err := r.Send(t.Context(), chat.Draft{To: "Bo", Text: "too late"}, true); err == nil {
		t.Error("an engine that has ended took a message")
	}
	if err := r.Compose(t.Context(), ""); err == nil {
		t.Error("an engine that has ended opened a window")
	}
}

// brokenStore can't write what a test says.
type brokenStore struct {
	client.Store
	broken func(store.Change) bool
}

func (b brokenStore) Apply(ctx context.Context, changes ...store.Change) error {
	if slices.ContainsFunc(changes, b.broken) {
		return errors.New("disk full")
	}
	return b.Store.Apply(ctx, changes...)
}

func TestWhatIsNotStoredIsNotAnnounced(t *testing.T) {
	r := newRig(t, filepath.Join(t.TempDir(), "h.db"), func(c *client.Config) {
		c.Store = brokenStore{c.Store, func(change store.Change) bool {
			a, ok := change.(*store.Add)
			return ok && strings.Contains(a.Message.Text, "bad")
		}}
	})
	r.online("Bo")
	if _, err := r.Send(t.Context(), chat.Draft{To: "Bo", Text: "bad"}, true); err == nil {
		t.Error("a message that can't be stored was taken")
	}
	r.net.events <- classicItem("Bo", "bad too", false, true)
	r.net.events <- classicItem("Bo", "good", false, true)
	r.await(func(e chat.Event) bool {
		if e.Message != nil && strings.Contains(e.Message.Text, "bad") {
			t.Errorf("announced: %+v", e.Message)
		}
		return e.Message != nil && e.Message.Text == "good"
	})
	if s := r.Status(); s.Problem == "" {
		t.Error("nobody is told that a message was lost")
	}
	if got := r.net.list(); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
}
