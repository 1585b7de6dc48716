package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"earshot/protocol/classic/classictest"
	"earshot/tray/chat"
)

// person returns somebody on the client's roster.
func (k *client) person(t testing.TB, name string) chat.Person {
	t.Helper()
	for _, p := range k.roster(t) {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("%s: %s is not on the roster", k.name, name)
	return chat.Person{}
}

// waitPerson waits until somebody on the roster is as ok wants.
func (k *client) waitPerson(t testing.TB, name, what string, ok func(chat.Person) bool) chat.Person {
	t.Helper()
	var last chat.Person
	eventually(t, fmt.Sprintf("%s sees %s %s (the roster says %+v)", k.name, name, what, &last), func() bool {
		for _, p := range k.roster(t) {
			if p.Name == name {
				last = p
				return ok(p)
			}
		}
		return false
	})
	return last
}

// waitState waits until the client's own message of that text is as ok wants.
func (k *client) waitState(t testing.TB, peer, text, what string, ok func(chat.Message) bool) chat.Message {
	t.Helper()
	var last chat.Message
	eventually(t, fmt.Sprintf("%s: %q to %s is %s (it is %+v)", k.name, text, peer, what, &last), func() bool {
		for _, m := range k.history(t, peer) {
			if m.Text == text && m.State != chat.Received {
				last = m
				return ok(m)
			}
		}
		return false
	})
	return last
}

func inState(want chat.State) func(chat.Message) bool {
	return func(m chat.Message) bool { return m.State == want }
}

// id is a message's ID as the commands take it.
func id(m chat.Message) string { return fmt.Sprint(m.ID) }

// find returns the message of that text in a conversation.
func (k *client) find(t testing.TB, peer, text string) chat.Message {
	t.Helper()
	for _, m := range k.history(t, peer) {
		if m.Text == text {
			return m
		}
	}
	t.Fatalf("%s: there is no %q in the conversation with %s", k.name, text, peer)
	return chat.Message{}
}

// Two people who log in with keys talk end to end: everything that can happen
// to a message shows at both.
func TestSecureConversation(t *testing.T) {
	c := startCoordinator(t)
	ann, bo := startClient(t, c, "Ann", "auto"), startClient(t, c, "Bo", "auto")
	ann.waitPerson(t, "Bo", "online and secure", func(p chat.Person) bool {
		return p.Online && p.Secure && p.Trust == chat.TrustPinned && !p.Verified
	})
	if s := ann.status(t); !s.Secure {
		t.Errorf("the status is %+v", s)
	}
	bo.waitOnline(t, "Ann", true)

	if out := ann.must(t, "send", "Bo", "你好, Bo"); !strings.Contains(strings.ToLower(out), "delivered") {
		t.Errorf("send printed %q", out)
	}
	got := bo.waitMessage(t, "Ann", "你好, Bo")
	if !got.Secure || got.Doubtful {
		t.Errorf("Bo got %+v", got)
	}
	// A reply; who writes it has read what it answers, once the window says so.
	bo.must(t, "send", "Ann", "--reply", id(got), "你好, Ann")
	reply := ann.waitMessage(t, "Bo", "你好, Ann")
	if reply.Quote != "你好, Bo" {
		t.Errorf("the reply quotes %q", reply.Quote)
	}
	// An edit and a deletion reach the other side.
	ann.must(t, "send", "Bo", "at noon?")
	m := bo.waitMessage(t, "Ann", "at noon?")
	ann.must(t, "edit", id(ann.find(t, "Bo", "at noon?")), "at one?")
	eventually(t, "Bo sees the edit", func() bool {
		return slices.ContainsFunc(bo.history(t, "Ann"), func(e chat.Message) bool {
			return e.ID == m.ID && e.Text == "at one?" && e.Edited
		})
	})
	ann.must(t, "delete", id(ann.find(t, "Bo", "at one?")))
	eventually(t, "Bo sees the deletion", func() bool {
		return slices.ContainsFunc(bo.history(t, "Ann"), func(e chat.Message) bool {
			return e.ID == m.ID && e.Text == "" && e.Deleted
		})
	})
	// An urgent message is acknowledged.
	ann.must(t, "send", "Bo", "--urgent", "the fire alarm is a test")
	urgent := bo.waitMessage(t, "Ann", "the fire alarm is a test")
	if !urgent.Urgent {
		t.Errorf("Bo got %+v", urgent)
	}
	bo.must(t, "ack", id(urgent))
	ann.waitState(t, "Bo", "the fire alarm is a test", "acknowledged", func(m chat.Message) bool { return m.Acknowledged })

	// Both see the same safety number.
	if a, b := ann.safety(t, "Bo"), bo.safety(t, "Ann"); a.Number != b.Number || len(a.Number) != 71 {
		t.Errorf("the safety numbers are %q and %q", a.Number, b.Number)
	}
	ann.must(t, "trust", "Bo", "verify")
	if p := ann.person(t, "Bo"); !p.Verified || p.Trust != chat.TrustVerified {
		t.Errorf("after the comparison Bo is %+v", p)
	}
}

func (k *client) safety(t testing.TB, peer string) chat.Safety {
	t.Helper()
	var s chat.Safety
	if err := json.Unmarshal([]byte(k.must(t, "safety", peer, "--json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// What a person says of itself is on the others' rosters, and an invisible
// person is on none.
func TestPresence(t *testing.T) {
	c := startCoordinator(t)
	ann, bo := startClient(t, c, "Ann", "auto"), startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, "Bo", true)
	bo.must(t, "presence", "busy", "in a meeting", "--display", "Bo Chen", "--department", "Sales")
	ann.waitPerson(t, "Bo", "busy", func(p chat.Person) bool {
		return p.Presence == chat.Busy && p.StatusText == "in a meeting" && p.Display == "Bo Chen" && p.Department == "Sales"
	})
	bo.must(t, "presence", "invisible")
	ann.waitOnline(t, "Bo", false)
	// An invisible person sees the others, and can write to them.
	if p := bo.person(t, "Ann"); !p.Online {
		t.Errorf("Bo sees %+v", p)
	}
	bo.must(t, "send", "Ann", "I am here, really")
	ann.waitMessage(t, "Bo", "I am here, really")
	bo.must(t, "presence", "online")
	ann.waitOnline(t, "Bo", true)
	// A department is an addressee.
	ann.must(t, "send", "--department", "Sales", "to all of sales")
	bo.waitMessage(t, "Ann", "to all of sales")
}

// The longest text arrives whole, and a longer one is refused before anything
// of it is stored.
func TestLongestText(t *testing.T) {
	c := startCoordinator(t)
	ann, bo := startClient(t, c, "Ann", "auto"), startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, "Bo", true)
	send := func(text string) ([]byte, error) {
		cmd := ann.command("send", "Bo", "-")
		cmd.Stdin = strings.NewReader(text)
		return cmd.CombinedOutput()
	}
	longest := strings.Repeat("字", (64<<10)/3) + "x"
	if out, err := send(longest); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	bo.waitMessage(t, "Ann", longest)
	if out, err := send(longest + "x"); err == nil || !strings.Contains(string(out), "64 KiB") {
		t.Errorf("one byte more: %v, %s", err, out)
	}
	if n := len(ann.history(t, "Bo")); n != 1 {
		t.Errorf("%d messages are stored", n)
	}
}

// Running conversations don't need the coordinator.
func TestConversationOutlivesTheCoordinator(t *testing.T) {
	c := startCoordinator(t)
	ann, bo := startClient(t, c, "Ann", "auto"), startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, "Bo", true)
	bo.waitOnline(t, "Ann", true)
	ann.must(t, "send", "Bo", "before")
	bo.waitMessage(t, "Ann", "before")
	ann.mark()
	c.kill()
	ann.wait(t, "the loss of the coordinator", isConnection(chat.Offline))
	for i := range 5 {
		ann.must(t, "send", "Bo", fmt.Sprint("during ", i))
		bo.waitMessage(t, "Ann", fmt.Sprint("during ", i))
		bo.must(t, "send", "Ann", fmt.Sprint("answer ", i))
		ann.waitMessage(t, "Bo", fmt.Sprint("answer ", i))
	}
	ann.waitState(t, "Bo", "during 4", "delivered", inState(chat.Delivered))
	// One of the two crashes and comes back while the coordinator is away: who
	// knows where it was can't find it again, so what is sent waits, here.
	bo.kill()
	ann.must(t, "send", "Bo", "to nobody")
	ann.mark()
	c.start(t)
	ann.wait(t, "the coordinator's return", isConnection(chat.Online))
	bo.start(t)
	bo.waitMessage(t, "Ann", "to nobody")
	ann.waitState(t, "Bo", "to nobody", "delivered", inState(chat.Delivered))
}

// Whatever is killed, and however often, every message is there once and in
// order.
func TestExactlyOnceAcrossCrashes(t *testing.T) {
	c := startCoordinator(t)
	ann, bo := startClient(t, c, "Ann", "auto"), startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, "Bo", true)
	const messages = 60
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range messages {
			for {
				// While Ann is down the command fails, having stored nothing,
				// or is cut off having stored it: then the text is there.
				if _, _, code := ann.run("send", "Bo", fmt.Sprint("message ", i)); code == 0 || ann.has(fmt.Sprint("message ", i)) {
					break
				}
			}
		}
	}()
	for range 3 {
		bo.kill()
		bo.start(t)
		ann.kill()
		ann.start(t)
		c.kill()
		c.start(t)
	}
	<-sent
	var want []string
	for i := range messages {
		want = append(want, fmt.Sprint("message ", i))
	}
	ann.waitState(t, "Bo", want[messages-1], "delivered", inState(chat.Delivered))
	for _, k := range []struct {
		*client
		peer string
	}{{ann, "Bo"}, {bo, "Ann"}} {
		var got []string
		for _, m := range k.history(t, k.peer, "--limit", "1000") {
			got = append(got, m.Text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has %d messages: %q", k.name, len(got), got)
		}
	}
}

// has says whether the client's history holds a text, once the client answers.
func (k *client) has(text string) bool {
	for {
		out, _, code := k.run("history", "Bo", "--json", "--limit", "1000")
		if code != 0 {
			continue // it starts again
		}
		var messages []chat.Message
		return json.Unmarshal([]byte(out), &messages) == nil &&
			slices.ContainsFunc(messages, func(m chat.Message) bool { return m.Text == text })
	}
}

// Classic programs stand on the same roster, and can be talked to, visibly
// unverified.
func TestClassicAndSecureTogether(t *testing.T) {
	c := startCoordinator(t)
	ann := startClient(t, c, "Ann", "auto")
	book := textbook(t, c.addr, "老王", classictest.GBPort)
	p := ann.waitPerson(t, "老王", "online", func(p chat.Person) bool { return p.Online })
	if p.Secure || p.Verified || p.Trust != chat.TrustNone {
		t.Errorf("a classic person is %+v", p)
	}
	if err := book.WaitForNames(within(t), "Ann", "老王"); err != nil {
		t.Fatal(err)
	}
	if out := ann.must(t, "send", "老王", "你好"); strings.Contains(strings.ToLower(out), "delivered") {
		t.Errorf("send printed %q, and nobody acknowledged", out)
	}
	if _, err := book.WaitFor(within(t), classictest.Says("Ann", "你好")); err != nil {
		t.Error(err)
	}
	if err := book.Talk(within(t), "Ann", "收到"); err != nil {
		t.Fatal(err)
	}
	if m := ann.waitMessage(t, "老王", "收到"); m.Secure || m.Doubtful {
		t.Errorf("Ann got %+v", m)
	}
	book.Crash()
	ann.waitOnline(t, "老王", false)
}
