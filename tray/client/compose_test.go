package client_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/client"
	"earshot/tray/localapi"
)

// windows is the popup process in the test's hand.
type windows struct {
	started chan string
	end     chan error
}

func composeRig(t *testing.T) (*rig, *windows) {
	w := &windows{started: make(chan string, 9), end: make(chan error)}
	r := newRig(t, filepath.Join(t.TempDir(), "h.db"), func(c *client.Config) {
		c.StartPopup = func(ctx context.Context, peer string) error {
			w.started <- peer
			select {
			case err := <-w.end:
				return err
			case <-ctx.Done():
				return nil
			}
		}
	})
	r.online("Ann", "Bo", "Cho")
	return r, w
}

func (r *rig) compose(peer string) chan error {
	answer := make(chan error, 1)
	go func() { answer <- r.Compose(context.Background(), peer) }()
	return answer
}

func opens(t *testing.T, sub localapi.Subscription, n int) []string {
	t.Helper()
	var peers []string
	for len(peers) < n {
		e, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == chat.EventOpen {
			peers = append(peers, e.Peer)
		}
	}
	return peers
}

// Quick clicks start one process, which opens what it was started with by
// itself and is told of the rest; later ones go to it at once.
func TestQuickClicksStartOneProcess(t *testing.T) {
	r, w := composeRig(t)
	first := r.compose("ann")
	if got := <-w.started; got != "Ann" {
		t.Fatalf("started for %q", got)
	}
	second, third := r.compose("Bo"), r.compose("Ann")
	// Both are queued once the engine has answered something after them; as
	// their goroutines may be late, a late one finds the process attached.
	sub := r.Subscribe(localapi.Popup)
	for _, answer := range []chan error{first, second, third} {
		if err := <-answer; err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Compose(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for !slices.Contains(got, "") {
		got = append(got, opens(t, sub, 1)...)
	}
	if !slices.Contains(got, "Bo") {
		t.Errorf("opened %q", got)
	}
	if len(w.started) != 0 {
		t.Errorf("%d more processes were started", len(w.started))
	}
	sub.Close()
	again := r.compose("Cho")
	w.end <- nil
	if got := <-w.started; got != "Cho" {
		t.Fatalf("the next process is for %q", got)
	}
	sub = r.Subscribe(localapi.Popup)
	defer sub.Close()
	if err := <-again; err != nil {
		t.Error(err)
	}
}

// What a process that is leaving did not read opens in the next one.
func TestOpenIsNotLostWhileTheProcessLeaves(t *testing.T) {
	r, w := composeRig(t)
	first := r.compose("Ann")
	<-w.started
	sub := r.Subscribe(localapi.Popup)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if err := r.Compose(t.Context(), "Bo"); err != nil {
		t.Fatal(err)
	}
	sub.Close()
	w.end <- nil
	if got := <-w.started; got != "Bo" {
		t.Errorf("the next process is for %q", got)
	}
}

func TestFailureToOpenIsToldOnce(t *testing.T) {
	r, w := composeRig(t)
	answer := r.compose("Ann")
	<-w.started
	w.end <- errors.New("GTK is missing")
	if err := <-answer; err == nil || !strings.Contains(err.Error(), "GTK is missing") {
		t.Errorf("%v", err)
	}
	// One that ends without a word must not be started for ever.
	answer = r.compose("Ann")
	<-w.started
	w.end <- nil
	if err := <-answer; err == nil {
		t.Error("a window that never opened counts as open")
	}
	if err := r.Compose(t.Context(), "Nobody"); err == nil {
		t.Error("a window for nobody")
	}
	if len(w.started) != 0 {
		t.Error("started again")
	}
}

// The window process learns of the end while the engine still takes what it
// sends, and the engine waits for it.
func TestWindowsEndBeforeTheEngine(t *testing.T) {
	r, w := composeRig(t)
	answer := r.compose("Ann")
	<-w.started
	sub := r.Subscribe(localapi.Popup)
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	r.Quit()
	drain(t, sub)
}

// A process that crashes right after it was asked for a window leaves the
// window to the next one.
func TestOpenSurvivesACrashOfTheProcess(t *testing.T) {
	r, w := composeRig(t)
	answer := r.compose("Ann")
	if first := <-w.started; first != "Ann" {
		t.Fatalf("the process is for %q", first)
	}
	sub := r.Subscribe(localapi.Popup)
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	if err := <-r.compose("Bo"); err != nil {
		t.Fatal(err)
	}
	if got := opens(t, sub, 1); got[0] != "Bo" {
		t.Fatalf("asked for %q", got)
	}
	sub.Close()
	w.end <- errors.New("killed")
	if next := <-w.started; next != "Bo" {
		t.Fatalf("the next process is for %q", next)
	}
}
