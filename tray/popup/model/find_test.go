package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/popup/ui"
)

type fakeFind struct {
	people      []ui.Person
	selected    int
	empty, hint string
	closed      bool
	sets        int
}

func (v *fakeFind) Present() {}
func (v *fakeFind) Close()   { v.closed = true }
func (v *fakeFind) SetPeople(people []ui.Person, selected int) {
	v.people, v.selected = people, selected
	v.sets++
}
func (v *fakeFind) Select(index int)     { v.selected = index }
func (v *fakeFind) SetEmpty(text string) { v.empty = text }
func (v *fakeFind) SetHint(text string)  { v.hint = text }

func (v *fakeFind) names() string {
	var names []string
	for i, p := range v.people {
		name := p.Name
		if i == v.selected {
			name = "[" + name + "]"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestRank(t *testing.T) {
	people := []chat.Person{
		{Name: "Joanna"},
		{Name: "Zoe An", Online: true},
		{Name: "Anton"},
		{Name: "ＡＮＮＡ", Online: true},
		{Name: "andrea", Unread: 1},
		{Name: "Bob", Online: true},
		{Name: "李安", Online: true},
		{Name: "Stale Andy", Online: true, Stale: true},
		{Name: "Susan An"},
	}
	for query, want := range map[string]string{
		"an":   "andrea, ＡＮＮＡ, Anton, Zoe An, Stale Andy, Susan An, Joanna",
		"ＡN ":  "andrea, ＡＮＮＡ, Anton, Zoe An, Stale Andy, Susan An, Joanna",
		"anna": "ＡＮＮＡ, Joanna",
		"安":    "李安",
		"x":    "",
		"":     "andrea, ＡＮＮＡ, Bob, Zoe An, 李安, Anton, Joanna, Stale Andy, Susan An",
	} {
		var names []string
		for _, p := range Rank(people, query, func(p chat.Person) string { return p.Name }) {
			names = append(names, p.Name)
		}
		if got := strings.Join(names, ", "); got != want {
			t.Errorf("%q finds\n%s\nwant\n%s", query, got, want)
		}
	}
}

func openFind(t *testing.T, w *World) (*Find, *fakeFind, *fakeWork) {
	t.Helper()
	work := new(fakeWork)
	f := NewFind(w, work, i18n.New("en"), func() {})
	v := new(fakeFind)
	f.Attach(v)
	return f, v, work
}

func TestFindByTyping(t *testing.T) {
	w := world(t, chat.Person{Name: "Bob", Online: true}, ann, chat.Person{Name: "Cy", Unread: 120}, chat.Person{Name: "me", Online: true})
	f, v, work := openFind(t, w)
	check := func(want string) {
		t.Helper()
		if got := v.names(); got != want {
			t.Errorf("the window lists %s, want %s", got, want)
		}
	}
	check("[Cy] Ann Bob Everyone")
	if p := v.people[0]; p.Unread != "99+" || p.Label != "Cy, Offline, unread messages: 99+" {
		t.Errorf("the unread person is %+v", p)
	}
	if p := v.people[3]; p.Detail != "2 people online" {
		t.Errorf("everyone is %+v", p)
	}
	f.Key(ui.KeyUp)
	check("[Cy] Ann Bob Everyone")
	f.Key(ui.KeyDown)
	check("Cy [Ann] Bob Everyone")
	// Somebody new doesn't move the selection to another person.
	w.Apply(chat.Event{Type: chat.EventLogin, Person: &chat.Person{Name: "Al", Online: true}})
	f.Refresh()
	check("Cy Al [Ann] Bob Everyone")
	f.Key(ui.KeyPageDown)
	check("Cy Al Ann Bob [Everyone]")
	f.Edited("b")
	check("[Bob]")
	f.Edited("bx")
	check("")
	if v.empty != "Nobody's name contains “bx”." {
		t.Errorf("the empty list says %q", v.empty)
	}
	f.Key(ui.KeyEnter)
	if len(work.opened) != 0 || v.closed {
		t.Fatal("Enter without a match opened something")
	}
	f.Edited("bo")
	if !f.Key(ui.KeyEnter) || !slices.Equal(work.opened, []string{"Bob"}) || !v.closed {
		t.Errorf("Enter opened %q, closed %v", work.opened, v.closed)
	}
}

func TestFindSaysWhyItIsEmpty(t *testing.T) {
	f, v, _ := openFind(t, new(World))
	if v.empty != "" || v.names() != "" {
		t.Errorf("before anything is known the window says %q", v.empty)
	}
	f.world.Apply(chat.Event{Type: chat.EventSnapshot})
	f.Refresh()
	if v.empty != "Nobody is here yet. People appear as soon as they log in." {
		t.Errorf("the empty list says %q", v.empty)
	}
}

func manyPeople(n int) []chat.Person {
	people := make([]chat.Person, n)
	for i := range people {
		people[i] = chat.Person{Name: fmt.Sprintf("Person %d", i), Online: i%3 == 0}
	}
	return people
}

func TestALongRosterIsCutAndSaysSo(t *testing.T) {
	f, v, _ := openFind(t, world(t, manyPeople(2000)...))
	if len(v.people) != findLimit || v.hint != "50 of 2001 people. Type to find the others." {
		t.Errorf("%d rows, hint %q", len(v.people), v.hint)
	}
	f.Edited("person 1999")
	if v.names() != "[Person 1999]" || v.hint != "↑ ↓ choose · Enter opens · Esc closes" {
		t.Errorf("rows %s, hint %q", v.names(), v.hint)
	}
	sets := v.sets
	f.Refresh()
	if v.sets != sets {
		t.Error("an unchanged list was set again")
	}
}

func BenchmarkFind(b *testing.B) {
	people := manyPeople(2000)
	for b.Loop() {
		Rank(people, "son 19", func(p chat.Person) string { return p.Name })
	}
}
