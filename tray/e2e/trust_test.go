package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/protocol/classic/classictest"
	"earshot/protocol/hostnet"
	"earshot/tray/chat"
)

// A name belongs to whoever came first with a key, also after a power cut of
// the coordinator, and classic programs can't take it either.
func TestStolenName(t *testing.T) {
	c := startCoordinator(t)
	bo := startClient(t, c, "Bo", "auto")
	c.kill() // right after the answer
	c.start(t)
	bo.kill()
	thief := newClient(t, c, "Bo")
	thief.launch(t)
	e := thief.wait(t, "the refusal", func(e chat.Event) bool { return e.Status != nil && e.Status.Problem != "" })
	if !strings.Contains(e.Status.Problem, "belongs to somebody else") || !strings.HasSuffix(e.Status.Problem, ".") {
		t.Errorf("the thief reads %q", e.Status.Problem)
	}
	book := classictest.NewClient(hostnet.OS, "Bo", classictest.DotNet, c.addr)
	t.Cleanup(book.Crash)
	unanswered, cancel := context.WithTimeout(t.Context(), 3*time.Second) // longer than any answer takes
	defer cancel()
	if err := book.Login(unanswered); err == nil {
		t.Error("a classic program has a name that belongs to a key")
	}
	bo.start(t)
}

// Somebody comes back with another key: nothing goes there, and nothing is
// taken from there, before Ann has decided.
func TestChangedKeyBlocks(t *testing.T) {
	c := startCoordinator(t)
	ann, bo := startClient(t, c, "Ann", "auto"), startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, "Bo", true)
	ann.must(t, "send", "Bo", "hello")
	bo.waitMessage(t, "Ann", "hello")
	bo.kill()
	c.must(t, "user", "reset", "Bo")
	other := newClient(t, c, "Bo") // a new computer, or somebody else
	other.server = c.invitation(t, "user", "invite", "Bo")
	other.start(t)
	ann.waitPerson(t, "Bo", "changed", func(p chat.Person) bool { return p.Online && p.Trust == chat.TrustChanged })
	other.waitOnline(t, "Ann", true)
	other.must(t, "send", "Ann", "it is me")
	_, problem, code := ann.run("send", "Bo", "the secret")
	if code == 0 && !ann.find(t, "Bo", "the secret").Waiting {
		t.Errorf("a message went to a key that nobody vouched for: %s", problem)
	}
	if slices.ContainsFunc(ann.history(t, "Bo"), func(m chat.Message) bool { return m.Text == "it is me" }) {
		t.Error("a message of an unknown key was taken")
	}
	ann.must(t, "trust", "Bo", "accept")
	ann.waitMessage(t, "Bo", "it is me")
	ann.must(t, "send", "Bo", "welcome back")
	other.waitMessage(t, "Ann", "welcome back")
}

// A person once seen secure isn't written to in the clear.
func TestNoDowngradeToClassic(t *testing.T) {
	c := startCoordinator(t)
	ann, bo := startClient(t, c, "Ann", "auto"), startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, "Bo", true)
	ann.must(t, "send", "Bo", "hello")
	bo.waitMessage(t, "Ann", "hello")
	bo.kill()
	c.must(t, "user", "remove", "Bo")
	book := textbook(t, c.addr, "Bo", classictest.DotNet)
	ann.waitPerson(t, "Bo", "lost", func(p chat.Person) bool { return p.Online && p.Trust == chat.TrustLost })
	_, _, code := ann.run("send", "Bo", "the secret")
	if code == 0 && !ann.find(t, "Bo", "the secret").Waiting {
		t.Error("a message went in the clear")
	}
	ann.must(t, "trust", "Bo", "accept")
	ann.must(t, "send", "Bo", "in the clear")
	if _, err := book.WaitFor(within(t), classictest.Says("Ann", "in the clear")); err != nil {
		t.Error(err)
	}
}

// A second computer joins the account by a code that the first one shows, and
// leaves it when it is removed.
func TestSecondDevice(t *testing.T) {
	c := startCoordinator(t)
	ann, bo := startClient(t, c, "Ann", "auto"), startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, "Bo", true)
	ann.must(t, "send", "Bo", "before the second device")
	bo.waitMessage(t, "Ann", "before the second device")

	laptop := newClient(t, c, "Bo")
	var offer chat.JoinOffer
	if err := json.Unmarshal([]byte(bo.must(t, "devices", "join", "--json")), &offer); err != nil {
		t.Fatal(err)
	}
	laptop.args = append(laptop.args, "--join", offer.Code)
	laptop.start(t)
	eventually(t, "both of Bo's devices are there", func() bool { return len(bo.devices(t)) == 2 })

	// Whoever knew the first device takes the second one without a question, and
	// is told of it.
	ann.wait(t, "the news of the second device", notice("Bo has a new device"))
	ann.must(t, "send", "Bo", "to both")
	bo.waitMessage(t, "Ann", "to both")
	laptop.waitMessage(t, "Ann", "to both")
	if p := ann.person(t, "Bo"); p.Trust != chat.TrustPinned {
		t.Errorf("Bo is %+v", p)
	}
	// What one device sends, the other one shows as sent.
	laptop.must(t, "send", "Ann", "from the laptop")
	ann.waitMessage(t, "Bo", "from the laptop")
	eventually(t, "the other device has a copy", func() bool {
		return slices.ContainsFunc(bo.history(t, "Ann"), func(m chat.Message) bool {
			return m.Text == "from the laptop" && m.State != chat.Received
		})
	})
	if slices.ContainsFunc(laptop.history(t, "Ann"), func(m chat.Message) bool { return m.Text == "before the second device" }) {
		t.Error("a new device sees what was sent before it joined")
	}
	// The code is good once.
	third := newClient(t, c, "Bo")
	third.args = append(third.args, "--join", offer.Code)
	third.launch(t)
	third.wait(t, "the refusal", func(e chat.Event) bool { return e.Status != nil && e.Status.Problem != "" })
	third.kill()

	ann.mark()
	for _, d := range bo.devices(t) {
		if !d.This {
			bo.must(t, "devices", "remove", d.ID)
		}
	}
	ann.wait(t, "the news of the removal", notice("Bo has removed the device"))
	laptop.wait(t, "its removal", func(e chat.Event) bool { return e.Status != nil && e.Status.Problem != "" })
	ann.must(t, "send", "Bo", "only to the first")
	bo.waitMessage(t, "Ann", "only to the first")
	if slices.ContainsFunc(laptop.history(t, "Ann"), func(m chat.Message) bool { return m.Text == "only to the first" }) {
		t.Error("a removed device still gets messages")
	}
}

// notice is an event that tells a person something once.
func notice(beginning string) func(chat.Event) bool {
	return func(e chat.Event) bool { return e.Type == chat.EventNotice && strings.HasPrefix(e.Notice, beginning) }
}

func (k *client) devices(t testing.TB) []chat.Device {
	t.Helper()
	var list []chat.Device
	if err := json.Unmarshal([]byte(k.must(t, "devices", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// Another program at the coordinator's address is not taken for it.
func TestForgedCoordinator(t *testing.T) {
	c := startCoordinator(t)
	ann := startClient(t, c, "Ann", "auto")
	ann.mark()
	c.kill()
	forged := &coordinator{addr: c.addr, metrics: c.metrics, dir: t.TempDir()}
	forged.start(t)
	e := ann.wait(t, "that it is another one", func(e chat.Event) bool {
		return e.Status != nil && strings.Contains(e.Status.Problem, "can't prove to be the coordinator")
	})
	if e.Status.Connection == chat.Online || !strings.HasSuffix(e.Status.Problem, ".") {
		t.Errorf("the status is %+v", e.Status)
	}
	forged.kill()
	ann.mark()
	c.start(t)
	ann.wait(t, "the right one", isConnection(chat.Online))
}

// The state is saved and put back while the coordinator runs.
func TestBackupAndRestore(t *testing.T) {
	c := startCoordinator(t)
	ann := startClient(t, c, "Ann", "auto")
	file := filepath.Join(t.TempDir(), "backup")
	c.must(t, "backup", file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is %v, %v", info, err)
	}
	c.must(t, "user", "remove", "Ann")
	if out := c.must(t, "user", "list"); strings.Contains(out, "Ann") {
		t.Errorf("after her removal:\n%s", out)
	}
	ann.kill()
	c.must(t, "restore", file)
	if out := c.must(t, "user", "list"); !strings.Contains(out, "Ann") {
		t.Errorf("after the restoration:\n%s", out)
	}
	ann.start(t)
	thief := newClient(t, c, "Ann")
	thief.launch(t)
	thief.wait(t, "the refusal", func(e chat.Event) bool { return e.Status != nil && e.Status.Problem != "" })
}

// Who may come in is the administrator's choice.
func TestRegistrationPolicies(t *testing.T) {
	t.Run("invite", func(t *testing.T) {
		c := startCoordinatorWith(t, "EARSHOT_REGISTRATION=invite")
		stranger := newClient(t, c, "Ann")
		stranger.launch(t)
		stranger.wait(t, "the refusal", func(e chat.Event) bool { return e.Status != nil && e.Status.Problem != "" })
		stranger.kill()
		link := c.invitation(t, "invite")
		guest := newClient(t, c, "Ann")
		guest.server = link
		guest.start(t)
		second := newClient(t, c, "Bo")
		second.server = link
		second.launch(t)
		second.wait(t, "that the invitation is used", func(e chat.Event) bool { return e.Status != nil && e.Status.Problem != "" })
		second.kill()
		guest.kill()
		guest.start(t) // the account is there, and needs no invitation any more
	})
	t.Run("approve", func(t *testing.T) {
		c := startCoordinatorWith(t, "EARSHOT_REGISTRATION=approve")
		guest := newClient(t, c, "Ann")
		guest.launch(t)
		guest.wait(t, "that somebody has to approve", func(e chat.Event) bool { return e.Status != nil && e.Status.Problem != "" })
		c.must(t, "user", "approve", "Ann")
		guest.wait(t, "online", isConnection(chat.Online))
	})
}

// invitation returns the link that a command of earshotd's prints.
func (c *coordinator) invitation(t testing.TB, command ...string) string {
	t.Helper()
	_, link, found := strings.Cut(c.must(t, append(command, "--host", c.addr.Addr().String())...), "earshot://")
	if !found {
		t.Fatalf("earshotd %s printed no link", strings.Join(command, " "))
	}
	return "earshot://" + strings.Fields(link)[0]
}

// link is what a person is given of the coordinator.
func (c *coordinator) link(t testing.TB) string {
	t.Helper()
	return strings.TrimSpace(c.must(t, "link", "--host", c.addr.String()))
}

// must runs a command of earshotd's against the running coordinator.
func (c *coordinator) must(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("earshotd %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
