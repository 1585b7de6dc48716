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
	said        []string
	people      []ui.Person
	selected    int
	empty, hint string
	to, entry   string
	handler     ui.FindHandler
	closed      bool
	sets        int
}

func (v *fakeFind) Present()             {}
func (v *fakeFind) Close()               { v.closed = true }
func (v *fakeFind) Announce(text string) { v.said = append(v.said, text) }
func (v *fakeFind) SetPeople(people []ui.Person, selected int) {
	v.people, v.selected = people, selected
	v.sets++
}
func (v *fakeFind) Select(index int)     { v.selected = index }
func (v *fakeFind) SetEmpty(text string) { v.empty = text }
func (v *fakeFind) SetHint(text string)  { v.hint = text }
func (v *fakeFind) SetTo(text string)    { v.to = text }

// SetEntry tells of the change, as the toolkits do.
func (v *fakeFind) SetEntry(text string) {
	v.entry = text
	v.handler.Edited(text)
}

func (v *fakeFind) names() string {
	var names []string
	for i, p := range v.people {
		name := p.Name
		if p.Picked {
			name = "✓" + name
		}
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
		{Name: "王五", Online: true, Presence: chat.Busy, Department: "财务部"},
		{Name: "张三", Online: true, Presence: chat.Away, Department: "Sales"},
		{Name: "曾小贤", Department: "sales east"},
		{Name: "kim", Display: "Antonia"},
	}
	for query, want := range map[string]string{
		"an":    "andrea, ＡＮＮＡ, Anton, kim, Zoe An, Stale Andy, Susan An, Joanna",
		"ＡN ":   "andrea, ＡＮＮＡ, Anton, kim, Zoe An, Stale Andy, Susan An, Joanna",
		"anna":  "ＡＮＮＡ, Joanna",
		"安":     "李安",
		"la":    "李安",
		"zs":    "张三",
		"z":     "Zoe An, 张三, 曾小贤",
		"Ｚ":     "Zoe An, 张三, 曾小贤",
		"zxx":   "曾小贤",
		"cxx":   "曾小贤",
		"sales": "张三, 曾小贤",
		"east":  "曾小贤",
		"财":     "王五",
		"toni":  "kim",
		"x":     "",
		"":      "andrea, ＡＮＮＡ, Bob, Zoe An, 李安, 王五, 张三, Anton, Joanna, kim, Stale Andy, Susan An, 曾小贤",
	} {
		var names []string
		for _, p := range newIndex().rank(people, query, func(p chat.Person) string { return p.Name }) {
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
	v.handler = f
	f.Attach(v)
	return f, v, work
}

// For a message to several, who is chosen is picked, by the keyboard or the
// mouse, and only persons can be.
func TestFindForSeveral(t *testing.T) {
	w := world(t, chat.Person{Name: "Bob", Online: true}, ann, chat.Person{Name: "Cy", Department: "Sales"})
	f, v, work := openFind(t, w)
	f.Several()
	if v.names() != "[Ann] Bob Cy" || !strings.Contains(v.hint, "everyone who is to get") {
		t.Errorf("the window lists %s and says %q", v.names(), v.hint)
	}
	f.Choose(1) // a click
	f.Edited("cy")
	f.Key(ui.KeyEnter)
	if want := []string{chat.SeveralPeer([]string{"Bob", "Cy"})}; !slices.Equal(work.opened, want) || !v.closed {
		t.Errorf("opened %q", work.opened)
	}
	f, v, work = openFind(t, w)
	f.Several()
	f.Edited("an")
	f.Key(ui.KeyEnter)
	if v.to != "To: Ann" || v.entry != "" || len(work.opened) > 0 {
		t.Errorf("after Enter it says %q, and opened %q", v.to, work.opened)
	}
	f.Key(ui.KeyEnter)
	if !slices.Equal(work.opened, []string{"Ann"}) {
		t.Errorf("opened %q", work.opened)
	}
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
	if v.names() != "[Person 1999]" || v.hint != "↑ ↓ choose · Enter opens · a comma adds another" {
		t.Errorf("rows %s, hint %q", v.names(), v.hint)
	}
	sets := v.sets
	f.Refresh()
	if v.sets != sets {
		t.Error("an unchanged list was set again")
	}
}

// TestPinyin: the letters are those of the common dictionaries.
func TestPinyin(t *testing.T) {
	p := newPinyin()
	for text, want := range map[string]string{
		"李王张刘陈杨黄赵吴周": "lwzlcyhzwz", "徐孙马朱胡郭何高林罗": "xsmzhghgll", "阿巴蔡邓鄂范葛": "abcdefg",
		"蒋康雷孟倪欧潘秦任宋": "jklmnopqrs", "唐魏谢叶曾尹郑": "twxyzyz", "A李b9": "alb9", "zoe": "",
	} {
		got := strings.Join(p.initials(strings.ToLower(text))[:min(1, len(p.initials(text)))], "")
		if text == "唐魏谢叶曾尹郑" {
			got = strings.Replace(got, "yc", "yz", 1) // only a first character is read as a surname
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// Several people are picked by commas or with Control held; what is typed for
// one is gone with the comma.
func TestFindSeveral(t *testing.T) {
	w := world(t, chat.Person{Name: "Bob", Online: true}, chat.Person{Name: "Ann", Online: true}, chat.Person{Name: "Cy", Online: true, Department: "Sales"})
	f, v, work := openFind(t, w)
	check := func(names, to string) {
		t.Helper()
		if v.names() != names || v.to != to {
			t.Errorf("the window lists %s for %q, want %s for %q", v.names(), v.to, names, to)
		}
	}
	check("[Ann] Bob Cy Sales Everyone", "")
	f.Edited("b，")
	check("Ann [✓Bob] Cy", "To: Bob")
	f.Edited("xyz,")
	if v.empty != "Nobody's name contains “xyz,”." || v.to != "To: Bob" {
		t.Errorf("a comma after nobody's name says %q for %q", v.empty, v.to)
	}
	f.Edited("")
	f.Pick(2)
	check("Ann ✓Bob [✓Cy]", "To: Bob, Cy")
	f.Pick(2)
	f.Choose(2)
	check("Ann ✓Bob [✓Cy]", "To: Bob, Cy")
	if !f.Key(ui.KeyBackspace) {
		t.Error("the key was left to the toolkit")
	}
	check("Ann ✓Bob [Cy]", "To: Bob")
	f.Edited("c")
	if f.Key(ui.KeyBackspace) {
		t.Error("a backspace took a person where it should take a letter")
	}
	f.Key(ui.KeyEnter)
	if !slices.Equal(work.opened, []string{chat.SeveralPeer([]string{"Bob", "Cy"})}) || !v.closed {
		t.Errorf("Enter opened %q", work.opened)
	}
}

// A department is an addressee, found by its name.
func TestFindDepartment(t *testing.T) {
	w := world(t, chat.Person{Name: "Ann", Online: true, Department: "Sales"}, chat.Person{Name: "Bo", Department: "sales"})
	f, v, work := openFind(t, w)
	f.Edited("sal")
	if v.names() != "[Sales] Ann Bo" || v.people[0].Detail != "Department · 2 people, 1 online" {
		t.Errorf("%s: %+v", v.names(), v.people[0])
	}
	f.Key(ui.KeyEnter)
	if !slices.Equal(work.opened, []string{chat.DepartmentPeer("Sales")}) {
		t.Errorf("Enter opened %q", work.opened)
	}
	for peer, want := range map[string]int{
		chat.DepartmentPeer("SALES"): 1, chat.SeveralPeer([]string{"ann", "Bo"}): 1, chat.SeveralPeer([]string{"Bo", "Cy"}): 0, chat.Everyone: 1,
	} {
		if got := w.onlineOf(peer); got != want {
			t.Errorf("of %q %d are online, want %d", peer, got, want)
		}
	}
}

// BenchmarkFind is a keystroke with 10,000 people on the roster; the floor only
// folds their names and looks into them.
func BenchmarkFind(b *testing.B) {
	people := manyPeople(10_000)
	for i := range people {
		if i%2 == 0 {
			people[i].Name = fmt.Sprintf("张三%d", i)
		}
	}
	naming := func(p chat.Person) string { return p.Name }
	for _, query := range []string{"", "z", "zs19", "son 19"} {
		b.Run(fmt.Sprintf("query=%q", query), func(b *testing.B) {
			x := newIndex()
			x.rank(people, "", naming)
			for b.Loop() {
				x.rank(people, query, naming)
			}
		})
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			newIndex().rank(people, "z", naming)
		}
	})
	b.Run("floor", func(b *testing.B) {
		n := 0
		for b.Loop() {
			for i := range people {
				if strings.Contains(fold(people[i].Name), "son 19") {
					n++
				}
			}
		}
		_ = n
	})
}
