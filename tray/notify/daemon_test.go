//go:build linux

package notify

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

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
