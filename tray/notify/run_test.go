package notify

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/settings"
)

// office is an engine whose events are in the test's hand.
type office struct {
	localapi.Engine // what notifications have no business with panics
	events          chan chat.Event
	composed        chan string
}

func (o *office) Subscribe(localapi.Role) localapi.Subscription { return o }
func (o *office) Close()                                        {}
func (o *office) Compose(_ context.Context, peer string) error {
	o.composed <- peer
	return nil
}
func (o *office) Next(ctx context.Context) (chat.Event, error) {
	select {
	case e, open := <-o.events:
		if !open {
			return chat.Event{}, io.EOF
		}
		return e, nil
	case <-ctx.Done():
		return chat.Event{}, ctx.Err()
	}
}

func (o *office) Settings(context.Context) ([]settings.Item, error) { return nil, nil }

func newOffice() *office {
	return &office{events: make(chan chat.Event, 64), composed: make(chan string, 8)}
}

// wall is a desktop that remembers.
type wall struct {
	notes     []note
	withdrawn []string
	clicks    chan answer
}

func (w *wall) show(n note) error      { w.notes = append(w.notes, n); return nil }
func (w *wall) withdraw(key string)    { w.withdrawn = append(w.withdrawn, key) }
func (w *wall) answers() <-chan answer { return w.clicks }
func (w *wall) close()                 {}

var discard = slog.New(slog.DiscardHandler)

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, w := newOffice(), &wall{clicks: make(chan answer)}
		done := make(chan error, 1)
		go func() { done <- run(t.Context(), o, english, w, Options{Log: discard}) }()

		o.events <- message("Ann", "hi")
		time.Sleep(messageWait)
		synctest.Wait()
		if len(w.notes) != 1 || w.notes[0].peer != "Ann" {
			t.Fatalf("%+v", w.notes)
		}
		w.clicks <- answer{peer: "Ann"}
		if peer := <-o.composed; peer != "Ann" {
			t.Errorf("a click opened %q", peer)
		}
		o.events <- read("Ann")
		synctest.Wait()
		if len(w.withdrawn) != 1 {
			t.Errorf("%q", w.withdrawn)
		}
		// A day's rest, and the clock still wakes it.
		time.Sleep(24 * time.Hour)
		o.events <- logout("Bo")
		time.Sleep(flapWait)
		synctest.Wait()
		if len(w.notes) != 2 {
			t.Errorf("%+v", w.notes)
		}
		close(o.events)
		if err := <-done; err != nil {
			t.Errorf("the engine's end is %v", err)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- run(ctx, newOffice(), english, &wall{}, Options{Log: discard}) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
