package e2e

import (
	"fmt"
	"strings"
	"testing"

	"earshot/tray/chat"
)

// Three clients in the three dialects see each other come, talk in any
// direction, and see each other go.
func TestThreeDialectsTalk(t *testing.T) {
	c := startClassicCoordinator(t)
	ann := startClient(t, c, "Ann", "utf-16le")
	bo := startClient(t, c, "Bo 波", "utf-8")
	ann.wait(t, "Bo's login", isLogin(bo.name))
	cho := startClient(t, c, "张三", "gb18030")
	clients := []*client{ann, bo, cho}

	for _, k := range clients {
		for _, other := range clients {
			if k != other {
				k.waitOnline(t, other.name, true)
			}
		}
		for _, p := range k.roster(t) {
			if p.Name == k.name {
				t.Errorf("%s stands on its own roster", k.name)
			}
			if p.Verified {
				t.Errorf("%s is shown as verified to %s", p.Name, k.name)
			}
		}
	}
	for _, from := range clients {
		for _, to := range clients {
			if from == to {
				continue
			}
			text := fmt.Sprintf("from %s to %s: 你好，世界 🎉, with a comma", from.name, to.name)
			from.must(t, "send", to.name, text)
			// The comma would end the text in a textbook receiver.
			to.waitMessage(t, from.name, strings.ReplaceAll(text, ",", "，"))
		}
	}
	if code := bo.term(t); code != 0 {
		t.Errorf("the client's exit code is %d", code)
	}
	ann.wait(t, "Bo's logout", isLogout(bo.name))
	cho.wait(t, "Bo's logout", isLogout(bo.name))
}

func isLogin(name string) func(chat.Event) bool {
	return func(e chat.Event) bool { return e.Type == chat.EventLogin && e.Person.Name == name }
}

func isLogout(name string) func(chat.Event) bool {
	return func(e chat.Event) bool { return e.Type == chat.EventLogout && e.Person.Name == name }
}

// A long text is cut into datagrams that no firewall drops, and comes whole and
// in order.
func TestLongTextArrivesInOrder(t *testing.T) {
	c := startClassicCoordinator(t)
	ann := startClient(t, c, "Ann", "utf-16le")
	bo := startClient(t, c, "Bo", "utf-8")
	ann.waitOnline(t, bo.name, true)

	var text strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&text, "%d字👨‍👩‍👧 ", i)
	}
	send := ann.command("send", bo.name, "-")
	send.Stdin = strings.NewReader(text.String())
	if out, err := send.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got strings.Builder
	bo.wait(t, "the end of the long text", func(e chat.Event) bool {
		if e.Type == chat.EventMessage {
			got.WriteString(e.Message.Text)
		}
		return len(got.String()) >= len(strings.TrimSpace(text.String()))
	})
	if strings.TrimSpace(got.String()) != strings.TrimSpace(text.String()) {
		t.Errorf("%d bytes were sent and %d others arrived", text.Len(), got.Len())
	}
}

// A message to somebody who is offline waits, survives a crash of the client,
// and goes when the person is back.
func TestMessageWaitsForAPersonAndSurvivesACrash(t *testing.T) {
	c := startCoordinator(t)
	ann := startClient(t, c, "Ann", "auto")
	bo := startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, bo.name, true)
	ann.must(t, "send", bo.name, "first")
	bo.waitMessage(t, "Ann", "first")

	bo.term(t)
	ann.waitOnline(t, bo.name, false)
	ann.must(t, "send", bo.name, "second, while you were out")
	if last := last(ann.history(t, bo.name)); last.State != chat.Sending {
		t.Fatalf("the message to somebody offline is %q, not %q", last.State, chat.Sending)
	}
	ann.kill()
	ann.start(t)

	bo.start(t)
	// It may come before anybody watches.
	eventually(t, "the message arrives", func() bool {
		return last(bo.history(t, "Ann")).Text == "second, while you were out"
	})
	eventually(t, "the message becomes delivered", func() bool {
		return last(ann.history(t, bo.name)).State == chat.Delivered
	})
	if n := len(bo.history(t, "Ann")); n != 2 {
		t.Errorf("Bo has %d messages from Ann, not 2", n)
	}
}

func last(messages []chat.Message) chat.Message {
	if len(messages) == 0 {
		return chat.Message{}
	}
	return messages[len(messages)-1]
}

// What a person is told when something can't be done is a sentence, and the
// exit code says so too.
func TestErrorsAreSentences(t *testing.T) {
	c := startCoordinator(t)
	ann := startClient(t, c, "Ann", "auto")
	for _, test := range []struct {
		args []string
		code int
	}{
		{[]string{"send", "Nobody", "hello"}, 1},
		{[]string{"send", "Nobody"}, 2},
		{[]string{"roster", "--wrong"}, 2},
		{[]string{"no-such-command"}, 2},
	} {
		_, stderr, code := ann.run(test.args...)
		if code != test.code {
			t.Errorf("earshot %v: exit code %d, not %d (%s)", test.args, code, test.code, stderr)
		}
		if strings.TrimSpace(stderr) == "" {
			t.Errorf("earshot %v says nothing", test.args)
		}
	}
}

// A name that is taken is refused with a sentence, in whatever case or width
// it is written, and the first holder stays.
func TestTakenNameIsRefused(t *testing.T) {
	c := startCoordinator(t)
	ann := startClient(t, c, "Ann", "auto")
	impostor := &client{
		name: "ＡＮＮ", profile: t.TempDir(), server: c.addr.String(),
		env: []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "LANG=C.UTF-8"},
	}
	impostor.more = make(chan struct{})
	impostor.process = start(t, "the impostor", impostor.env, earshot, "run", "--headless",
		"--profile", impostor.profile, "--server", impostor.server, "--name", impostor.name)
	impostor.watch(t)
	e := impostor.wait(t, "a refusal", func(e chat.Event) bool {
		return e.Status != nil && e.Status.Connection == chat.Offline && e.Status.Problem != ""
	})
	if !strings.Contains(e.Status.Problem, "name") {
		t.Errorf("the refusal reads: %s", e.Status.Problem)
	}
	bo := startClient(t, c, "Bo", "auto")
	bo.waitOnline(t, ann.name, true)
	bo.waitOnline(t, impostor.name, false)
}
