package client_test

import (
	"slices"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/client"
	"earshot/tray/localapi"
	"earshot/tray/settings"
)

// adapts has an engine told of changes of its settings, as the program does.
func adapts(t *testing.T, h *home, live *settings.Live) {
	t.Cleanup(live.OnChange(func(names []string) { h.engine.Adapt(names, "here") }))
}

// Whoever does not want to be disturbed for an hour is shown so for an hour.
func TestQuietEndsByItself(t *testing.T) {
	inWorld(t, 31, func(t *testing.T, w *world) {
		live, err := settings.Open(new(book), settings.Policy{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ann := w.home("Ann", "desk")
		ann.change = func(c *client.Config) { c.Settings = live }
		ann.start()
		adapts(t, ann, live)
		settle(time.Minute)
		if s := ann.engine.Status(); s.Quiet || !s.QuietUntil.IsZero() {
			t.Fatalf("from the start: %+v", s)
		}
		if err := ann.engine.SetSetting(t.Context(), "do_not_disturb", "1h"); err != nil {
			t.Fatal(err)
		}
		until := time.Now().Add(time.Hour)
		settle(59 * time.Minute)
		if s := ann.engine.Status(); !s.Quiet || until.Sub(s.QuietUntil).Abs() > 2*time.Second {
			t.Errorf("a minute before the end: %v until %v, not %v", s.Quiet, s.QuietUntil, until)
		}
		settle(2 * time.Minute)
		if s := ann.engine.Status(); s.Quiet || !s.QuietUntil.IsZero() {
			t.Errorf("after the hour: %+v", s)
		}
	})
}

// A favourite of an earlier start is one from the first moment, and a change is
// told of at once, however the name is written.
func TestFavourites(t *testing.T) {
	inWorld(t, 32, func(t *testing.T, w *world) {
		live, err := settings.Open(new(book), settings.Policy{}, nil)
		if err == nil {
			err = live.Set(t.Context(), "people.p00.favourite", true)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.home("P00", "desk").start()
		w.home("P01", "desk").start()
		ann := w.home("Ann", "laptop")
		ann.change = func(c *client.Config) { c.Settings = live }
		ann.start()
		adapts(t, ann, live)
		liked := func() (names []string) {
			for _, p := range ann.engine.Roster() {
				if p.Favourite {
					names = append(names, p.Name)
				}
			}
			return names
		}
		w.until("both are there", func() bool { return len(ann.engine.Roster()) == 2 })
		if got := liked(); !slices.Equal(got, []string{"P00"}) {
			t.Errorf("at the start the favourites are %q", got)
		}
		events := ann.engine.Subscribe(localapi.Watcher)
		defer events.Close()
		for name, on := range map[string]bool{"P00": false, "P01": true} {
			if err := ann.engine.SetSetting(t.Context(), "people."+name+".favourite", on); err != nil {
				t.Fatal(err)
			}
		}
		told := make(map[string]bool)
		for len(told) < 2 {
			e, err := events.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if e.Type == chat.EventPerson {
				told[e.Person.Name] = e.Person.Favourite
			}
		}
		if told["P00"] || !told["P01"] || !slices.Equal(liked(), []string{"P01"}) {
			t.Errorf("told %v, the favourites are %q", told, liked())
		}
	})
}
