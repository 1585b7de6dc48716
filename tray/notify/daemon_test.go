//go:build linux

package notify

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"earshot/tray/chat"
	"earshot/tray/desktoptest"
)

// onDesktop runs notifications for an office on a real desktop.
func onDesktop(t *testing.T) (*desktoptest.Desktop, *office) {
	t.Helper()
	d := desktoptest.Start(t, desktoptest.Options{Notifier: desktoptest.Dunst})
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", d.Bus)
	t.Setenv("XDG_CACHE_HOME", d.Home)
	o := newOffice()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o, english, Options{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d, o
}

// shows waits until exactly one bubble is on the screen and has been for as
// long as anything that is under way takes, and returns all that were shown.
func shows(d *desktoptest.Desktop) []desktoptest.Bubble {
	d.Await("one notification", func() bool { return d.Bubbles() == 1 })
	return d.CloseBubbles()
}

// Five messages of one person are one bubble, with the last text as it was
// typed; a click opens the popup.
func TestFiveMessagesOneBubble(t *testing.T) {
	d, o := onDesktop(t)
	for i := range 5 {
		o.events <- message("Ann", fmt.Sprintf("%d <b>not bold</b> &amp; 你好", i))
	}
	o.events <- message("Bo", "click me")
	d.Await("two notifications", func() bool { return d.Bubbles() == 2 })
	d.Screenshot("notify-two")
	d.ClickBubble()
	select {
	case peer := <-o.composed:
		if peer != "Ann" && peer != "Bo" {
			t.Errorf("the click opened %q", peer)
		}
	case <-time.After(desktoptest.Patience):
		t.Fatal("the click opened nothing")
	}
	bubbles := d.CloseBubbles()
	if len(bubbles) != 2 {
		t.Errorf("dunst showed %d bubbles: %+v", len(bubbles), bubbles)
	}
	for _, b := range bubbles {
		if strings.HasPrefix(b.Summary, "Ann") && (b.Summary != "Ann (5 new messages)" || !strings.Contains(b.Body, "4 ") || !strings.Contains(b.Body, "not bold")) {
			t.Errorf("%+v", b)
		}
	}
}

// A message that is read elsewhere is taken back.
func TestWithdrawnWhenRead(t *testing.T) {
	d, o := onDesktop(t)
	o.events <- message("Ann", "hi")
	d.Await("the notification", func() bool { return d.Bubbles() == 1 })
	o.events <- read("Ann")
	d.Await("its end", func() bool { return d.Bubbles() == 0 })
}

// An urgent message stays until it is answered, whatever else comes of its
// sender.
func TestUrgentStays(t *testing.T) {
	d, o := onDesktop(t)
	fire := urgent(1, "Ann", "fire")
	o.events <- fire
	o.events <- numbered(2, "Ann", "sorry")
	d.Await("both notifications", func() bool { return d.Bubbles() == 2 })
	d.Screenshot("notify-urgent")
	o.events <- read("Bo") // somebody else
	o.events <- amend(fire, func(m *chat.Message) { m.Acknowledged = true })
	if b := shows(d); len(b) != 2 || b[0].Body != "sorry" {
		t.Errorf("the other one is not the last: %+v", b)
	}
}

// desk is a notification service that remembers what it is told.
type desk struct{ notes chan call }

type call struct {
	Summary  string
	Replaces uint32
	Urgency  any
	Silent   bool
	Expires  int32
}

func (d desk) Notify(_ string, replaces uint32, _, summary, _ string, _ []string, hints map[string]dbus.Variant, expires int32) (uint32, *dbus.Error) {
	_, silent := hints["suppress-sound"]
	d.notes <- call{summary, replaces, hints["urgency"].Value(), silent, expires}
	return max(replaces, uint32(len(summary))), nil
}

func (desk) GetCapabilities() ([]string, *dbus.Error) { return []string{"body"}, nil }

func (d desk) CloseNotification(uint32) *dbus.Error { return nil }

// sinkAt is a sink on a bus with a notification service of the test's, and the
// connection that this has.
func sinkAt(t *testing.T, fake any) (sink, *dbus.Conn) {
	t.Helper()
	d := desktoptest.Start(t, desktoptest.Options{})
	conn, err := dbus.Connect(d.Bus)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.Export(fake, object, service); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(service, 0); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", d.Bus)
	t.Setenv("XDG_CACHE_HOME", d.Home)
	s := newSink(t.Context(), english, slog.New(slog.DiscardHandler))
	t.Cleanup(s.close)
	return s, conn
}

// Just an urgent message is critical and never expires, and a change makes no
// sound.
func TestHints(t *testing.T) {
	shown := desk{make(chan call, 8)}
	s, _ := sinkAt(t, shown)
	for _, n := range []note{
		{key: "a", title: "absent", silent: true}, {key: "a", title: "plain"}, {key: "a", title: "changed", silent: true}, {key: "b", title: "urgent", urgent: true},
	} {
		if err := s.show(n); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []call{
		{"plain", 0, normal, false, asUsual}, {"changed", 5, normal, true, asUsual}, {"urgent", 0, critical, false, never},
	} {
		if got := <-shown.notes; got != want {
			t.Errorf("the service was told %+v, not %+v", got, want)
		}
	}
	if len(shown.notes) > 0 {
		t.Errorf("and %+v", <-shown.notes)
	}
}

// What a sender changes changes on the screen, and nothing comes back that the
// person has put away.
func TestEditedAndTakenBack(t *testing.T) {
	d, o := onDesktop(t)
	lunch := numbered(1, "Ann", "lunch at one")
	o.events <- lunch
	d.Await("the notification", func() bool { return d.Bubbles() == 1 })
	o.events <- edit(lunch, "lunch at two")
	o.events <- told("", "So far.") // once this is shown the other has been changed
	d.Await("the notice", func() bool { return d.Bubbles() == 2 })
	d.Screenshot("notify-edited")
	o.events <- remove(lunch)
	d.Await("the end of the message", func() bool { return d.Bubbles() == 1 })
	o.events <- numbered(2, "Bo", "put away")
	d.Await("another notification", func() bool { return d.Bubbles() == 2 })
	d.CloseBubbles()
	o.events <- edit(numbered(2, "Bo", ""), "never seen")
	o.events <- told("", "In the end.")
	bodies := make(map[string]bool)
	for _, b := range shows(d) {
		bodies[b.Body] = true
	}
	if want := map[string]bool{"lunch at two": true, "So far.": true, "put away": true, "In the end.": true}; !maps.Equal(bodies, want) {
		t.Errorf("dunst showed %v, not %v", bodies, want)
	}
}

// A busy person sees what is urgent, and afterwards that there was more.
func TestBusy(t *testing.T) {
	d, o := onDesktop(t)
	o.events <- present(chat.Busy)
	o.events <- numbered(1, "Ann", "one")
	o.events <- numbered(2, "Bo", "two")
	o.events <- urgent(3, "Cho", "fire")
	if b := shows(d); len(b) != 1 || b[0].Body != "fire" {
		t.Errorf("while busy: %+v", b)
	}
	o.events <- present(chat.Available)
	if b := shows(d); len(b) != 2 || b[0].Body != "2 messages from Ann and Bo came meanwhile." {
		t.Errorf("afterwards: %+v", b)
	}
}

// Another notification service in between is no obstacle.
func TestServiceRestarted(t *testing.T) {
	d, o := onDesktop(t)
	o.events <- message("Ann", "before")
	shows(d)
	d.StopNotifier()
	d.StartNotifier(desktoptest.Dunst)
	o.events <- message("Ann", "after")
	if b := shows(d); len(b) != 1 || b[0].Body != "after" || b[0].App != appName {
		t.Errorf("%+v", b)
	}
}

// beeep's way works too, with our name and icon.
func TestPlainWay(t *testing.T) {
	d, _ := onDesktop(t)
	if err := Say("A sentence for you."); err != nil {
		t.Fatal(err)
	}
	if b := shows(d); len(b) != 1 || b[0].Body != "A sentence for you." || b[0].App != appName || !strings.HasSuffix(b[0].Icon, "icon.png") {
		t.Errorf("%+v", b)
	}
}

// Where there is no session bus it is the only way.
func TestWithoutSessionBus(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+t.TempDir()+"/none")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	s := newSink(t.Context(), english, slog.New(slog.DiscardHandler))
	defer s.close()
	if _, ok := s.(*plain); !ok {
		t.Errorf("it is %T", s)
	}
}
