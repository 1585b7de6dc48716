package e2e

import (
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/profile"
)

// The coordinator is killed and started again in the middle of a conversation:
// the roster is kept and stale, people still reach each other, and everyone is
// back by himself.
func TestCoordinatorKilledAndRestarted(t *testing.T) {
	c := startCoordinator(t)
	ann := startClient(t, c, "Ann", "utf-16le")
	bo := startClient(t, c, "Bo", "utf-8")
	ann.waitOnline(t, bo.name, true)
	bo.waitOnline(t, ann.name, true)

	ann.mark()
	c.kill()
	ann.wait(t, "the loss of the coordinator", isConnection(chat.Offline))
	for _, p := range ann.roster(t) {
		if p.Name == bo.name && (!p.Online || !p.Stale) {
			t.Errorf("Bo is %+v on a stale roster", p)
		}
	}
	ann.must(t, "send", bo.name, "the coordinator is away")
	bo.waitMessage(t, ann.name, "the coordinator is away")

	ann.mark()
	c.start(t)
	ann.wait(t, "the coordinator's return", isConnection(chat.Online))
	ann.waitOnline(t, bo.name, true)
	bo.waitOnline(t, ann.name, true)
	ann.must(t, "send", bo.name, "it is back")
	bo.waitMessage(t, ann.name, "it is back")
}

func isConnection(want chat.Connection) func(chat.Event) bool {
	return func(e chat.Event) bool { return e.Status != nil && e.Status.Connection == want }
}

// SIGTERM logs everyone out: clients know at once, and the exit code is 0.
func TestCoordinatorStopsInOrder(t *testing.T) {
	c := startCoordinator(t)
	ann := startClient(t, c, "Ann", "auto")
	bo := startClient(t, c, "Bo", "gb18030")
	ann.waitOnline(t, bo.name, true)
	ann.mark()
	if code := c.term(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
	ann.wait(t, "the coordinator's goodbye", isConnection(chat.Offline))
	c.start(t)
	ann.waitOnline(t, bo.name, true)
	bo.waitOnline(t, ann.name, true)
}

// A client that is killed leaves every roster within five seconds (its port is
// closed), and comes back as itself.
func TestClientKilled(t *testing.T) {
	c := startCoordinator(t)
	ann := startClient(t, c, "Ann", "auto")
	for _, encoding := range []string{"utf-16le", "utf-8"} {
		bo := startClient(t, c, "Bo "+encoding, encoding)
		ann.waitOnline(t, bo.name, true)
		killed := time.Now()
		bo.kill()
		ann.wait(t, bo.name+"'s logout", isLogout(bo.name))
		t.Logf("%s: gone from the roster %v after the kill", bo.name, time.Since(killed).Round(time.Millisecond))
		ann.mark()
		bo.start(t)
		ann.wait(t, bo.name+"'s return", isLogin(bo.name))
	}
}

// A command that works on the profile while no client runs has it for a moment. A
// client that starts in that moment waits for it.
func TestStartBesideACommand(t *testing.T) {
	c := startCoordinator(t)
	ann := newClient(t, c, "Ann")
	dir, err := profile.Open(ann.profile)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	released := time.AfterFunc(500*time.Millisecond, func() { _ = lock.Release() })
	defer released.Stop()
	ann.start(t)
	if got := ann.status(t).Connection; got != chat.Online && got != chat.Connecting {
		t.Errorf("it is %s", got)
	}
}
