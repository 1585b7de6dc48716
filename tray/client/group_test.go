package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/tray/chat"
	"earshot/tray/client"
	"earshot/tray/localapi"
	"earshot/tray/store"
)

// crowd is Ann and n others, all online.
func (w *world) crowd(n int) (ann *home, others []*home) {
	ann = w.home("Ann", "laptop")
	ann.start()
	for i := range n {
		h := w.home(fmt.Sprintf("P%02d", i), "desk")
		h.start()
		others = append(others, h)
	}
	w.until("all are there", func() bool {
		online := 0
		for _, p := range ann.engine.Roster() {
			if p.Online {
				online++
			}
		}
		return online == n
	})
	return ann, others
}

// Of thirty people to whom one message goes, 27 read it, one only gets it, one
// is away and one comes later.
func TestProgressOfAMessageToSeveral(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		ann, others := w.crowd(30)
		others[28].stop()
		others[29].stop()
		w.until("two have left", func() bool { return !ann.sees("P28").Online && !ann.sees("P29").Online })
		var names []string
		for _, h := range others {
			names = append(names, h.name)
		}
		sent := ann.say(chat.SeveralPeer(names), "to all thirty")
		for _, h := range others[:28] {
			got := h.arrived("Ann", "to all thirty")
			if !strings.Contains(got.Audience, "P00, P01") || !strings.Contains(got.Audience, "14 more") || !got.Secure {
				t.Fatalf("%+v", got)
			}
		}
		for _, h := range others[:27] {
			if err := h.engine.MarkRead(t.Context(), "Ann"); err != nil {
				t.Fatal(err)
			}
		}
		want := chat.Progress{Total: 30, Delivered: 28, Read: 27}
		w.until("27 have read it", func() bool { return *ann.message(sent.ID).Progress == want })
		m := ann.message(sent.ID)
		if m.State != chat.Sending || m.Waiting != true {
			t.Errorf("two wait for it, and it is %+v", m)
		}
		list, err := ann.engine.Recipients(t.Context(), sent.ID)
		if err != nil || len(list) != 30 {
			t.Fatalf("%d recipients, %v", len(list), err)
		}
		for i, r := range list {
			state := chat.Read
			if i >= 27 {
				state = []chat.State{chat.Delivered, chat.Sending, chat.Sending}[i-27]
			}
			if r.Name != names[i] || r.State != state || r.Waiting != (i > 27) {
				t.Errorf("%+v", r)
			}
		}
		others[28].start()
		others[29].start()
		if m := ann.reached(sent.ID, chat.Delivered); m.Progress.Delivered != 30 || m.Waiting || !m.Secure {
			t.Errorf("%+v", m)
		}
	})
}

// A department and everyone are the people whom the coordinator tells of.
func TestAudiences(t *testing.T) {
	inWorld(t, 2, func(t *testing.T, w *world) {
		ann, others := w.crowd(3)
		for _, h := range others[:2] {
			w.inDepartment(h, "Sales")
		}
		w.until("the department is known", func() bool { return ann.sees("P01").Department == "Sales" })
		sales := ann.say(chat.DepartmentPeer("sales"), "to sales")
		all := ann.say(chat.Everyone, "to everyone")
		ann.reached(sales.ID, chat.Delivered)
		if m := ann.reached(all.ID, chat.Delivered); m.Progress.Total != 3 || m.Progress.Delivered != 3 {
			t.Errorf("%+v", m.Progress)
		}
		if got := others[0].arrived("Ann", "to sales"); got.Audience != "to the department sales" {
			t.Errorf("%+v", got)
		}
		if got := others[2].arrived(chat.Everyone, "to everyone"); got.Sender != "Ann" || got.Audience != "" {
			t.Errorf("%+v", got)
		}
		if got := others[2].texts("Ann", true); len(got) != 0 {
			t.Errorf("P02 is not in sales and got %q", got)
		}
		if err := others[2].engine.MarkRead(t.Context(), chat.Everyone); err != nil {
			t.Fatal(err)
		}
		w.until("one has read it", func() bool { return ann.message(all.ID).Progress.Read == 1 })
		for _, to := range []string{chat.DepartmentPeer("nobody's"), chat.SeveralPeer([]string{"P00", "Nobody"}), chat.SeveralPeer(make([]string, 300))} {
			if _, err := ann.engine.Send(t.Context(), chat.Draft{To: to, Text: "x"}, false); err == nil {
				t.Errorf("a message to %.40q was taken", to)
			}
		}
		for _, h := range others {
			h.stop()
		}
		w.until("all have left", func() bool { return !ann.sees("P02").Online })
		nobody := ann.say(chat.Everyone, "is anybody there?")
		if m := ann.reached(nobody.ID, chat.Failed); !strings.HasSuffix(m.Problem, ".") {
			t.Errorf("%+v", m)
		}
		others[0].start()
		w.until("P00 is back", func() bool { return ann.sees("P00").Online })
		if err := ann.engine.Retry(t.Context(), nobody.ID); err != nil {
			t.Fatal(err)
		}
		ann.reached(nobody.ID, chat.Delivered)
	})
}

// inDepartment changes what is said of a home's account.
func (w *world) inDepartment(h *home, department string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.departments[h.name] = department
	w.accountChangedLocked(h.name, nil)
}

// What one device sends, reads, edits and takes back shows at the others of the
// account, from when they joined.
func TestCopiesToOwnDevices(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		laptop, bo := w.home("Ann", "laptop"), w.home("Bo", "desk")
		laptop.start()
		bo.start()
		w.until("Bo is there", func() bool { return laptop.sees("Bo").Online })
		laptop.reached(laptop.say("Bo", "before").ID, chat.Delivered)
		phone := w.home("Ann", "phone")
		phone.start()
		w.until("all know the phone", func() bool {
			devices, err := laptop.engine.Devices(t.Context())
			return err == nil && len(devices) == 2 && phone.sees("Bo").Online && !bo.sees("Ann").Trust.Blocked()
		})
		sent := laptop.say("Bo", "hello")
		copied := phone.arrived("Bo", "hello")
		if copied.Sender != "Ann" || copied.State == chat.Received || copied.Unread || !copied.Secure {
			t.Errorf("%+v", copied)
		}
		if got := phone.texts("Bo", false); !slices.Equal(got, []string{"hello"}) {
			t.Errorf("the phone has %q", got)
		}
		bo.arrived("Ann", "hello")
		if err := bo.engine.MarkRead(t.Context(), "Ann"); err != nil {
			t.Fatal(err)
		}
		laptop.reached(sent.ID, chat.Read)
		phone.reached(copied.ID, chat.Read)
		// The other way round: an answer is read on one, and is on the other.
		bo.say("Ann", "hello you")
		laptop.arrived("Bo", "hello you")
		phone.arrived("Bo", "hello you")
		if err := phone.engine.MarkRead(t.Context(), "Bo"); err != nil {
			t.Fatal(err)
		}
		w.until("it is read at both", func() bool { return laptop.engine.Status().Unread == 0 && phone.engine.Status().Unread == 0 })
		// The phone changes what the laptop has sent.
		if err := phone.engine.Edit(t.Context(), copied.ID, "hello!"); err != nil {
			t.Fatal(err)
		}
		if m := bo.arrived("Ann", "hello!"); !m.Edited {
			t.Errorf("%+v", m)
		}
		if m := laptop.arrived("Bo", "hello!"); m.ID != sent.ID || !m.Edited {
			t.Errorf("%+v", m)
		}
		several := laptop.say(chat.SeveralPeer([]string{"Bo"}), "still direct")
		if several.Peer != "Bo" {
			t.Errorf("%+v", several)
		}
	})
}

// Editing, taking back, answering and acknowledging show on both sides, and
// nobody can do them to what is not theirs.
func TestWhatBecomesOfAMessage(t *testing.T) {
	inWorld(t, 4, func(t *testing.T, w *world) {
		ann, others := w.crowd(2)
		bo := others[0]
		m := ann.draft(chat.Draft{To: bo.name, Text: "fire!", Urgent: true})
		got := bo.arrived("Ann", "fire!")
		if !got.Urgent || got.Acknowledged {
			t.Errorf("%+v", got)
		}
		if err := bo.engine.Acknowledge(t.Context(), got.ID); err != nil {
			t.Fatal(err)
		}
		w.until("it is answered", func() bool { return ann.message(m.ID).Acknowledged && bo.message(got.ID).Acknowledged })
		if s := ann.message(m.ID).State; s != chat.Read {
			t.Errorf("who has answered has read it, and it is %s", s)
		}
		answer := bo.draft(chat.Draft{To: "Ann", Text: "coming", ReplyTo: got.ID})
		if r := ann.arrived(bo.name, "coming"); r.ReplyTo != m.ID || r.Quote != "fire!" {
			t.Errorf("%+v", r)
		}
		if bo.message(answer.ID).Quote != "fire!" {
			t.Errorf("%+v", bo.message(answer.ID))
		}
		if err := ann.engine.Edit(t.Context(), m.ID, "fire drill"); err != nil {
			t.Fatal(err)
		}
		if e := bo.arrived("Ann", "fire drill"); !e.Edited || e.ID != got.ID {
			t.Errorf("%+v", e)
		}
		if err := ann.engine.Delete(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
		w.until("it is gone", func() bool { return bo.message(got.ID).Deleted })
		if d := bo.message(got.ID); d.Text != "" || d.Edited {
			t.Errorf("%+v", d)
		}
		if bo.message(answer.ID).Quote != "" {
			t.Error("what was taken back is still quoted")
		}
		for what, err := range map[string]error{
			"edited another's":            bo.engine.Edit(t.Context(), got.ID, "mine"),
			"took another's back":         bo.engine.Delete(t.Context(), got.ID),
			"edited what is gone":         ann.engine.Edit(t.Context(), m.ID, "x"),
			"edited nothing":              ann.engine.Edit(t.Context(), 999, "x"),
			"edited to nothing":           bo.engine.Edit(t.Context(), answer.ID, " "),
			"acknowledged nothing urgent": ann.engine.Acknowledge(t.Context(), ann.arrived(bo.name, "coming").ID),
			"made it too long":            bo.engine.Edit(t.Context(), answer.ID, strings.Repeat("x", p2p.MaxText+1)),
		} {
			if refused, ok := errors.AsType[*localapi.Error](err); !ok || !strings.HasSuffix(refused.Text, ".") {
				t.Errorf("somebody %s: %v", what, err)
			}
		}
	})
}

// What waits can be changed before anyone has got it, and what was taken back
// never leaves.
func TestWhatWaitsCanBeChanged(t *testing.T) {
	inWorld(t, 5, func(t *testing.T, w *world) {
		ann, others := w.crowd(1)
		bo := others[0]
		bo.stop()
		w.until("Bo has left", func() bool { return !ann.sees(bo.name).Online })
		first, second := ann.say(bo.name, "draft"), ann.say(bo.name, "secret")
		if m := ann.message(first.ID); m.State != chat.Sending || !m.Waiting {
			t.Errorf("%+v", m)
		}
		if err := ann.engine.Edit(t.Context(), first.ID, "final"); err != nil {
			t.Fatal(err)
		}
		if err := ann.engine.Delete(t.Context(), second.ID); err != nil {
			t.Fatal(err)
		}
		ann.restart()
		bo.start()
		last := ann.say(bo.name, "last")
		ann.reached(last.ID, chat.Delivered)
		if got := bo.texts("Ann", true); !slices.Equal(got, []string{"final", "last"}) {
			t.Errorf("got %q", got)
		}
	})
}

// A message that is too long for the secure protocol is refused here.
func TestSecureTextsHaveALimit(t *testing.T) {
	inWorld(t, 6, func(t *testing.T, w *world) {
		ann, others := w.crowd(1)
		for _, to := range []string{others[0].name, chat.Everyone} {
			_, err := ann.engine.Send(t.Context(), chat.Draft{To: to, Text: strings.Repeat("x", p2p.MaxText+1)}, true)
			if refused, ok := errors.AsType[*localapi.Error](err); !ok || !strings.Contains(refused.Text, "64") {
				t.Errorf("%v", err)
			}
		}
		m, err := ann.engine.Send(t.Context(), chat.Draft{To: others[0].name, Text: strings.Repeat("x", p2p.MaxText)}, true)
		if err != nil || m.State != chat.Delivered {
			t.Errorf("%s, %v", m.State, err)
		}
	})
}

// Whoever does not want others to know what was read doesn't tell.
func TestReadReceiptsCanBeOff(t *testing.T) {
	inWorld(t, 7, func(t *testing.T, w *world) {
		ann, bo := w.home("Ann", ""), w.home("Bo", "")
		bo.change = func(c *client.Config) { c.Settings = choose(t, "read_receipts", false) }
		ann.start()
		bo.start()
		w.until("Bo is there", func() bool { return ann.sees("Bo").Online })
		m := ann.say("Bo", "hello")
		bo.arrived("Ann", "hello")
		if err := bo.engine.MarkRead(t.Context(), "Ann"); err != nil {
			t.Fatal(err)
		}
		settle(time.Minute)
		if s := ann.reached(m.ID, chat.Delivered).State; s != chat.Delivered {
			t.Errorf("it is %s", s)
		}
	})
}

// A sign of typing goes by itself, and ends with the message.
func TestTyping(t *testing.T) {
	inWorld(t, 8, func(t *testing.T, w *world) {
		ann, others := w.crowd(1)
		bo := others[0]
		ann.engine.Typing(bo.name, true)
		w.until("Ann types", func() bool { return bo.sees("Ann").Typing })
		settle(p2p.TypingFor)
		w.until("Ann types no longer", func() bool { return !bo.sees("Ann").Typing })
		ann.engine.Typing(bo.name, true)
		w.until("Ann types again", func() bool { return bo.sees("Ann").Typing })
		ann.say(bo.name, "there")
		bo.arrived("Ann", "there")
		if bo.sees("Ann").Typing {
			t.Error("Ann types what has arrived")
		}
	})
}

// What nobody comes for in a month is given up, and can be sent again.
func TestNothingWaitsForEver(t *testing.T) {
	inWorld(t, 9, func(t *testing.T, w *world) {
		ann, others := w.crowd(1)
		bo := others[0]
		bo.stop()
		w.until("Bo has left", func() bool { return !ann.sees(bo.name).Online })
		m := ann.say(bo.name, "hello?")
		settle(29 * 24 * time.Hour)
		if s := ann.message(m.ID).State; s != chat.Sending {
			t.Fatalf("it is %s after 29 days", s)
		}
		settle(2 * 24 * time.Hour)
		if m := ann.reached(m.ID, chat.Failed); !strings.Contains(m.Problem, "30 days") {
			t.Errorf("%+v", m)
		}
		if o, err := ann.store.Outbox(t.Context()); err != nil || len(o.Items) != 0 {
			t.Errorf("%d items are kept, %v", len(o.Items), err)
		}
		bo.start()
		w.until("Bo is back", func() bool { return ann.sees(bo.name).Online })
		if err := ann.engine.Retry(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
		ann.reached(m.ID, chat.Delivered)
	})
}

// A receiver that can't store a message now says so, and gets it again.
func TestFullDiskAtTheReceiver(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		ann, bo := w.home("Ann", ""), w.home("Bo", "")
		full := 2
		bo.change = func(c *client.Config) {
			c.Store = brokenStore{c.Store, func(change store.Change) bool {
				a, ok := change.(*store.Add)
				if ok && a.Message.State == chat.Received && full > 0 {
					full--
					return true
				}
				return false
			}}
		}
		ann.start()
		bo.start()
		w.until("Bo is there", func() bool { return ann.sees("Bo").Online })
		begun := time.Now()
		first, second := ann.say("Bo", "one"), ann.say("Bo", "two")
		ann.reached(first.ID, chat.Delivered)
		ann.reached(second.ID, chat.Delivered)
		if got := bo.texts("Ann", true); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("got %q", got)
		}
		if waited := time.Since(begun); waited < 5*time.Second || waited > time.Minute {
			t.Errorf("it went again after %v", waited)
		}
	})
}

// The client that waits for its message is told when it waits for somebody.
func TestSendWaits(t *testing.T) {
	inWorld(t, 11, func(t *testing.T, w *world) {
		ann, others := w.crowd(2)
		others[1].stop()
		w.until("one has left", func() bool { return !ann.sees("P01").Online })
		for to, want := range map[string]chat.State{"P00": chat.Delivered, "P01": chat.Sending, chat.SeveralPeer([]string{"P00", "P01"}): chat.Sending} {
			m, err := ann.engine.Send(context.Background(), chat.Draft{To: to, Text: "hello"}, true)
			if err != nil || m.State != want || m.Waiting != (want == chat.Sending) {
				t.Errorf("to %s: %+v, %v", to, m, err)
			}
		}
	})
}
