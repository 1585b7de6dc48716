//go:build !windows && !darwin

package menu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot/icons"
	"earshot/tray/chat"
	"earshot/tray/localapi"
)

// office is an engine with a roster in the test's hand.
type office struct {
	localapi.Engine // what a menu has no business with panics

	mu       sync.Mutex
	status   chat.Status
	roster   []chat.Person
	composed []string
	quits    int
	pages    []string // links that were asked for and opened, and what was said
	set      []string // settings
	events   chan chat.Event
}

func newOffice(names ...string) *office {
	o := &office{status: chat.Status{Connection: chat.Online, Name: "me"}, events: make(chan chat.Event, 64)}
	for _, name := range names {
		o.roster = append(o.roster, chat.Person{Name: name, Online: true})
	}
	return o
}

func (o *office) Status() chat.Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.status
}

func (o *office) Roster() []chat.Person {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.roster)
}

func (o *office) Compose(_ context.Context, peer string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.composed = append(o.composed, peer)
	return nil
}

func (o *office) SetStatus(_ context.Context, own chat.OwnStatus) error {
	o.change(func() { o.status.Own = own })
	return nil
}

func (o *office) Page(_ context.Context, name string) (string, error) {
	o.note("link to " + name)
	return "http://127.0.0.1:1/" + name, nil
}

func (o *office) SetSetting(_ context.Context, name string, value any) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.set = append(o.set, fmt.Sprint(name, " ", value))
	if len(o.set) > 3 {
		return errors.New("This is locked.")
	}
	return nil
}

func (o *office) note(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pages = append(o.pages, what)
}

func (o *office) Quit() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.quits++
}

func (o *office) Subscribe(localapi.Role) localapi.Subscription { return (*stream)(o) }

type stream office

func (s *stream) Next(ctx context.Context) (chat.Event, error) {
	select {
	case e, open := <-s.events:
		if !open {
			return chat.Event{}, io.EOF
		}
		return e, nil
	case <-ctx.Done():
		return chat.Event{}, ctx.Err()
	}
}

func (s *stream) Close() {}

// change alters the roster and tells of it.
func (o *office) change(f func()) {
	o.mu.Lock()
	f()
	o.mu.Unlock()
	o.events <- chat.Event{Type: chat.EventPerson}
}

// slate is a tray that remembers.
type slate struct {
	mu sync.Mutex // for those tests that look while more is due
	memory
}

// look is what is remembered now.
func (s *slate) look() memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memory
}

type memory struct {
	titles  [slots]string
	enabled [slots]bool
	checked [slots]bool
	sets    int         // of rows
	batch   int         // of those, in the last batch
	batches []time.Time // when rows were set
	icons   []string
	clicked chan int
}

func (s *slate) setIcon(state icons.State, unread int) {
	s.icons = append(s.icons, fmt.Sprint(state, " ", unread))
}
func (s *slate) setTooltip(string) {}
func (s *slate) setRow(slot int, r row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.titles[slot], s.enabled[slot], s.checked[slot] = r.title, r.kind != nothing, r.checked
	s.sets++
	if now := time.Now(); len(s.batches) == 0 || s.batches[len(s.batches)-1] != now {
		s.batches, s.batch = append(s.batches, now), 0
	}
	s.batch++
}
func (s *slate) clicks() <-chan int { return s.clicked }

// onBoard runs a board over an office in fake time.
func onBoard(t *testing.T, o *office, f func(t *testing.T, s *slate)) {
	synctest.Test(t, func(t *testing.T) {
		o.events = make(chan chat.Event, 64)
		s := &slate{memory: memory{clicked: make(chan int)}}
		b := &board{engine: o, p: english, tray: s, log: slog.New(slog.DiscardHandler), say: o.note}
		b.browse = func(url string) error {
			if len(o.pages) > 2 {
				return errors.New("there is no browser")
			}
			o.note(url)
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.run(ctx) }()
		defer func() { cancel(); <-done }()
		synctest.Wait()
		f(t, s)
	})
}

// rest lets time pass, and everything that is due happen.
func rest(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestFirstChangeAtOnceTheRestInBatches(t *testing.T) {
	o := newOffice("a", "b")
	onBoard(t, o, func(t *testing.T, s *slate) {
		if s.titles[slotPeople] != "● a" || s.titles[slotPeople+1] != "● b" || !s.enabled[slotPeople] || s.enabled[slotSelf] {
			t.Fatalf("%q", s.titles)
		}
		rest(time.Hour)
		s.sets, s.batches = 0, nil
		began := time.Now()
		for i := range 500 { // fifty a second, for ten seconds
			o.change(func() { o.roster[1].Unread = i + 1 })
			if i == 0 {
				synctest.Wait()
				if s.sets == 0 {
					t.Error("the first change after a rest waits")
				}
			}
			rest(20 * time.Millisecond)
		}
		rest(time.Second)
		if len(s.batches) > 11 {
			t.Errorf("%d batches in %v", len(s.batches), time.Since(began))
		}
		if s.titles[slotPeople] != "● b (500)" {
			t.Errorf("in the end the menu says %q", s.titles[slotPeople])
		}
		// The two people changed places once; after that only one row changes.
		if s.sets > len(s.batches)+1 {
			t.Errorf("%d rows were set in %d batches", s.sets, len(s.batches))
		}
	})
}

func TestIconFollowsUnreadAndPresence(t *testing.T) {
	o := newOffice("a")
	onBoard(t, o, func(t *testing.T, s *slate) {
		for _, unread := range []int{1, 2, 0} {
			o.change(func() { o.status.Unread = unread })
			rest(time.Second)
		}
		for _, presence := range []chat.Presence{chat.Away, chat.Busy, chat.Invisible} {
			o.change(func() { o.status.Own.Presence = presence })
			rest(time.Second)
		}
		for _, quiet := range []bool{true, false} {
			o.change(func() { o.status.Quiet = quiet })
			rest(time.Second)
		}
		o.change(func() { o.status.Connection = chat.Offline })
		rest(time.Second)
		want := []string{"online 0", "online 1", "online 2", "online 0", "away 0", "busy 0", "online 0", "busy 0", "online 0", "offline 0"}
		if !slices.Equal(s.icons, want) {
			t.Errorf("the icon was %q, not %q", s.icons, want)
		}
	})
}

func TestClickMeansWhatWasSeen(t *testing.T) {
	o := newOffice("a", "b")
	onBoard(t, o, func(t *testing.T, s *slate) {
		rest(time.Minute)
		s.clicked <- slotPeople
		o.change(func() { o.roster[1].Unread = 1 }) // b moves up
		synctest.Wait()
		rest(aimTime / 2)
		s.clicked <- slotPeople // still aimed at a
		rest(aimTime)
		s.clicked <- slotPeople
		s.clicked <- slotFind
		s.clicked <- slotSelf
		synctest.Wait()
		if want := []string{"a", "a", "b", ""}; !slices.Equal(o.composed, want) {
			t.Errorf("opened %q, not %q", o.composed, want)
		}
		s.clicked <- slotQuit
		synctest.Wait()
		if o.quits != 1 {
			t.Errorf("told to quit %d times", o.quits)
		}
	})
}

func TestPresenceIsChosen(t *testing.T) {
	o := newOffice("a")
	o.status.Own = chat.OwnStatus{Text: "in the workshop", Display: "Me"}
	onBoard(t, o, func(t *testing.T, s *slate) {
		if s.enabled[slotSelf] || s.titles[slotPresence] != "" {
			t.Errorf("a classic person can choose: %q", s.titles)
		}
		rest(time.Minute)
		o.change(func() { o.status.Secure = true })
		rest(time.Minute)
		if !s.enabled[slotSelf] {
			t.Error("the submenu can't be opened")
		}
		for i, choice := range presences {
			s.clicked <- slotSelf // opens it, and does nothing else
			s.clicked <- slotPresence + i
			rest(batchEvery)
			var checked [4]bool
			checked[i] = true
			if [4]bool(s.checked[slotPresence:slotStatus]) != checked {
				t.Errorf("%s is chosen, and checked is %v", choice.presence, s.checked[slotPresence:slotStatus])
			}
			if want := (chat.OwnStatus{Presence: choice.presence, Text: "in the workshop", Display: "Me"}); o.status.Own != want {
				t.Errorf("the person is %+v, not %+v", o.status.Own, want)
			}
			if want := "me · " + string(choice.presence) + " · in the workshop"; s.titles[slotSelf] != want {
				t.Errorf("the row says %q, not %q", s.titles[slotSelf], want)
			}
		}
		rest(time.Minute)
		o.change(func() { o.status.Secure, o.status.Own.Presence = false, chat.Available })
		rest(time.Minute)
		if s.enabled[slotSelf] || s.titles[slotPresence] != "" || len(o.composed) > 0 {
			t.Errorf("it can still be chosen: %q", s.titles)
		}
	})
}

func TestPagesOpen(t *testing.T) {
	o := newOffice()
	onBoard(t, o, func(t *testing.T, s *slate) {
		s.clicked <- slotSettings
		s.clicked <- slotHistory
		synctest.Wait()
		want := []string{"link to settings", "http://127.0.0.1:1/settings", "link to history", english.T("MenuNoBrowser", "Command", "history --page")}
		if !slices.Equal(o.pages, want) {
			t.Errorf("%q", o.pages)
		}
	})
}

func TestStatusTextLeadsToItsPlace(t *testing.T) {
	o := newOffice()
	o.status.Secure = true
	onBoard(t, o, func(t *testing.T, s *slate) {
		s.clicked <- slotStatus
		synctest.Wait()
		if want := []string{"link to settings", "http://127.0.0.1:1/settings#s-status.text"}; !slices.Equal(o.pages, want) {
			t.Errorf("%q", o.pages)
		}
	})
}

func TestQuietIsChosen(t *testing.T) {
	o := newOffice()
	onBoard(t, o, func(t *testing.T, s *slate) {
		s.clicked <- slotQuiet
		s.clicked <- slotLengths
		s.clicked <- slotLengths + len(lengths) - 1
		s.clicked <- slotMembers - 1 // nothing is there yet
		o.change(func() { o.status.Quiet, o.status.QuietUntil = true, time.Now().Add(time.Hour) })
		rest(time.Minute)
		s.clicked <- slotMembers - 1
		s.clicked <- slotLengths + 1
		synctest.Wait()
		// Fake time begins at midnight, in UTC.
		morning := midnight(time.Now(), 1).Add(8 * time.Hour).Format(time.RFC3339)
		want := []string{"do_not_disturb 30m", "do_not_disturb " + morning, "do_not_disturb off", "do_not_disturb 1h"}
		if !slices.Equal(o.set, want) || !slices.Equal(o.pages, []string{"This is locked."}) {
			t.Errorf("set %q, said %q", o.set, o.pages)
		}
	})
}

// While everything changes, each second has rows for the sections, and for one
// department after the other, as a whole; at rest all is right.
func TestSubmenusTakeTurns(t *testing.T) {
	o := newOffice()
	for i := range maxGroups {
		o.roster = append(o.roster, people(maxMembers, fmt.Sprintf("D%d", i))...)
	}
	onBoard(t, o, func(t *testing.T, s *slate) {
		if first, _ := members(maxGroups - 1); s.titles[first+1] != "● D701" {
			t.Fatalf("at the start: %q", s.titles[first:])
		}
		rest(time.Minute)
		seen := make(map[int]bool)
		for round := range 3 * maxGroups {
			before := s.look()
			o.change(func() {
				for i := range o.roster {
					o.roster[i].Presence = []chat.Presence{chat.Busy, chat.Away, chat.Available}[round%3]
				}
			})
			rest(time.Second)
			after := s.look()
			if after.batch > batchSize+groupSlots {
				t.Fatalf("%d rows changed at once", after.batch)
			}
			for g := range maxGroups {
				first, end := members(g)
				changed := 0
				for slot := first + 1; slot < end; slot++ {
					if before.titles[slot] != after.titles[slot] {
						changed++
					}
				}
				if changed > 0 {
					seen[g] = true
					if changed != maxMembers-1 {
						t.Errorf("%d members of group %d changed, and the others did not", changed, g)
					}
				}
			}
		}
		if len(seen) != maxGroups {
			t.Errorf("only the groups %v were drawn", seen)
		}
		rest(time.Duration(maxGroups) * time.Second)
		for g := range maxGroups {
			if first, _ := members(g); s.titles[first+1] != fmt.Sprintf("● D%d01", g) {
				t.Errorf("at rest: %q", s.titles[first+1])
			}
		}
		s.sets = 0
		rest(time.Hour)
		if s.sets > 0 {
			t.Errorf("%d rows are set at rest", s.sets)
		}
	})
}

func TestEngineEnds(t *testing.T) {
	o := newOffice("a")
	onBoard(t, o, func(t *testing.T, _ *slate) {
		close(o.events)
		synctest.Wait() // the board ends by itself, or its goroutines would be found
	})
}

func TestEscape(t *testing.T) {
	if got := escape("a_b"); got != "a__b" {
		t.Errorf("%q", got)
	}
}

// BenchmarkMenu is a change in an office of two thousand, beside the sorting
// that it takes at the least.
func BenchmarkMenu(b *testing.B) {
	var names []string
	for i := range 2000 {
		names = append(names, fmt.Sprintf("person %d", i))
	}
	o := newOffice(names...)
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			sorted(o.Roster())
		}
	})
	b.Run("draw", func(b *testing.B) {
		board := &board{engine: o, p: english, tray: &slate{}, log: slog.New(slog.DiscardHandler)}
		i := 0
		for b.Loop() {
			i++
			o.roster[i%2000].Unread ^= 1
			board.draw()
		}
	})
}
