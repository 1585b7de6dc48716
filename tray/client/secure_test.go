package client_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/client"
	"earshot/tray/localapi"
)

// secureRig is a rig with a device of its own, and Bo and Cho online with one
// each.
type secureRig struct {
	*rig
	me, phone, bo, cho identity.Key
}

func newSecureRig(t *testing.T) *secureRig {
	r := &secureRig{me: identity.NewKey(), phone: identity.NewKey(), bo: identity.NewKey(), cho: identity.NewKey()}
	r.rig = newRig(t, filepath.Join(t.TempDir(), "h.db"), func(c *client.Config) {
		c.Device = r.me.Public()
	})
	r.net.events <- p2p.Connected{
		Server: "coordinator", Secure: true,
		Self:   p2p.Person{Name: "Me", Devices: devices(r.me, r.phone)},
		Roster: []p2p.Person{{Name: "Bo", Devices: devices(r.bo)}, {Name: "Cho", Devices: devices(r.cho)}, who("Dee")},
	}
	r.awaitType(chat.EventRoster)
	return r
}

func devices(keys ...identity.Key) (list []p2p.Device) {
	for _, k := range keys {
		list = append(list, p2p.Device{Key: k.Public(), Label: "of " + k.Public().ID().Short(), Online: true})
	}
	return list
}

// take hands the engine an item and returns what it answers.
func (r *secureRig) take(from string, device identity.Key, item p2p.Item) error {
	r.t.Helper()
	answer := make(chan error, 2)
	r.net.events <- p2p.Received{From: from, Device: device.Public(), Item: item, Known: true, Done: func(err error) { answer <- err }}
	return <-answer
}

var itemCount byte

// item is one with an ID of its own.
func item(body p2p.Body) p2p.Item {
	itemCount++
	return p2p.Item{ID: p2p.ItemID{itemCount}, At: time.Now(), Body: body}
}

// Nothing is taken that its sender may not send, and whoever sends again what
// is there already is told that it is.
func TestWhatIsTaken(t *testing.T) {
	r := newSecureRig(t)
	stranger := identity.NewKey()
	hello := item(p2p.Text{Text: "hello"})
	if err := r.take("bo", r.bo, hello); err != nil {
		t.Fatal(err)
	}
	if m := r.state("hello", chat.Received); m.Sender != "Bo" || !m.Secure || m.Doubtful || !m.Unread {
		t.Errorf("%+v", m)
	}
	if err := r.take("Bo", r.bo, hello); err != nil {
		t.Errorf("a repetition is refused: %v", err)
	}
	// Two accounts may use one ID.
	same := hello
	same.Body = p2p.Text{Text: "another hello"}
	if err := r.take("Cho", r.cho, same); err != nil {
		t.Error(err)
	}
	copied := item(p2p.Text{Text: "as if sent by me"})
	copied.CopyOf = "Bo"
	bare := item(p2p.Text{Text: "of my own, to nobody"})
	for _, c := range []struct {
		what   string
		from   string
		device identity.Key
		item   p2p.Item
		never  bool
	}{
		{"a device that nobody knows", "Bo", stranger, item(p2p.Text{Text: "x"}), false},
		{"another person's device", "Bo", r.cho, item(p2p.Text{Text: "x"}), false},
		{"a person that nobody knows", "Eve", stranger, item(p2p.Text{Text: "x"}), false},
		{"a classic person's device", "Dee", stranger, item(p2p.Text{Text: "x"}), false},
		{"everyone", chat.Everyone, r.bo, item(p2p.Text{Text: "x"}), false},
		{"nobody", "", r.bo, item(p2p.Text{Text: "x"}), false},
		{"another's device in the own account", "Me", r.bo, copied, false},
		{"a copy by somebody else", "Bo", r.bo, copied, true},
		{"an item without an ID", "Bo", r.bo, p2p.Item{Body: p2p.Text{Text: "x"}}, true},
		{"an own item that is no copy", "Me", r.phone, bare, true},
		{"a text without end", "Bo", r.bo, item(p2p.Text{Text: strings.Repeat("x", p2p.MaxText+1)}), true},
		{"an edit without end", "Bo", r.bo, item(p2p.Edit{Of: hello.ID, Text: strings.Repeat("x", p2p.MaxText+1)}), true},
	} {
		err := r.take(c.from, c.device, c.item)
		if err == nil || errors.Is(err, p2p.ErrRefusedItem) != c.never {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	all, err := r.History(t.Context(), "", 0, 100)
	var texts []string
	for _, m := range all {
		texts = append(texts, m.Text)
	}
	if err != nil || !slices.Equal(texts, []string{"hello", "another hello"}) {
		t.Errorf("stored %q, %v", texts, err)
	}
}

// Nobody changes what is another's, and what nobody knows is taken without an
// effect: it must not come again for ever.
func TestOnlyOnesOwnIsChanged(t *testing.T) {
	r := newSecureRig(t)
	theirs := item(p2p.Text{Text: "of Bo", Urgent: true})
	if err := r.take("Bo", r.bo, theirs); err != nil {
		t.Fatal(err)
	}
	m := r.state("of Bo", chat.Received)
	sent := r.send("Bo", "of mine", true)
	uid := r.net.ids()["of mine"]
	for what, c := range map[string]struct {
		from   string
		device identity.Key
		body   p2p.Body
	}{
		"edit another's":         {"Cho", r.cho, p2p.Edit{Of: theirs.ID, Text: "of Cho"}},
		"delete another's":       {"Cho", r.cho, p2p.Delete{Of: theirs.ID}},
		"edit mine":              {"Bo", r.bo, p2p.Edit{Of: uid, Text: "of Bo now"}},
		"delete mine":            {"Bo", r.bo, p2p.Delete{Of: uid}},
		"see what one never got": {"Cho", r.cho, p2p.Seen{Of: []p2p.ItemID{uid, theirs.ID, {}}}},
		"acknowledge the same":   {"Cho", r.cho, p2p.Acknowledge{Of: uid}},
		"acknowledge one's own":  {"Bo", r.bo, p2p.Acknowledge{Of: theirs.ID}},
		"edit what isn't there":  {"Bo", r.bo, p2p.Edit{Of: p2p.ItemID{9, 9}, Text: "x"}},
		"nothing known":          {"Bo", r.bo, nil},
	} {
		if err := r.take(c.from, c.device, item(c.body)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for id, want := range map[int64]string{m.ID: "of Bo", sent.ID: "of mine"} {
		got, err := r.store.Message(t.Context(), id)
		if err != nil || got.Text != want || got.Edited || got.Deleted || got.Acknowledged || got.State == chat.Read {
			t.Errorf("%+v, %v", got, err)
		}
	}
	// An older edit that comes late changes nothing.
	late, newer := item(p2p.Edit{Of: theirs.ID, Text: "older"}), item(p2p.Edit{Of: theirs.ID, Text: "newer"})
	late.At = newer.At.Add(-time.Second)
	for _, i := range []p2p.Item{newer, late, newer} {
		if err := r.take("Bo", r.bo, i); err != nil {
			t.Error(err)
		}
	}
	if got, err := r.store.Message(t.Context(), m.ID); err != nil || got.Text != "newer" || !got.Edited {
		t.Errorf("%+v, %v", got, err)
	}
	if err := r.take("Bo", r.bo, item(p2p.Seen{Of: []p2p.ItemID{uid}})); err != nil {
		t.Error(err)
	}
	r.state("of mine", chat.Read)
}

// A clock that is wrong by years does not put a message where nobody looks.
func TestImpossibleClocks(t *testing.T) {
	r := newSecureRig(t)
	for text, at := range map[string]time.Time{"from the future": time.Now().Add(1000 * time.Hour), "from before clocks": {}, "from 1970": time.Unix(0, 0)} {
		i := item(p2p.Text{Text: text})
		i.At = at
		if err := r.take("Bo", r.bo, i); err != nil {
			t.Fatal(err)
		}
		if m := r.state(text, chat.Received); time.Since(m.At).Abs() > time.Minute {
			t.Errorf("%s at %v", text, m.At)
		}
	}
	yesterday := item(p2p.Text{Text: "from yesterday"})
	yesterday.At = time.Now().Add(-24 * time.Hour)
	if err := r.take("Bo", r.bo, yesterday); err != nil {
		t.Fatal(err)
	}
	if m := r.state("from yesterday", chat.Received); !m.At.Equal(yesterday.At) {
		t.Errorf("at %v", m.At)
	}
}

// What a client will never take fails with its sentence, while the others go on.
func TestRefusedItems(t *testing.T) {
	r := newSecureRig(t)
	r.net.setFail("Cho", &refusing{})
	if m := r.send("Cho", "no", true); m.State != chat.Failed || !strings.Contains(m.Problem, "I take nothing.") {
		t.Errorf("%+v", m)
	}
	r.net.setFail("Cho", nil)
	if m := r.send("Cho", "yes", true); m.State != chat.Delivered {
		t.Errorf("%+v", m)
	}
}

type refusing struct{}

func (*refusing) Error() string { return p2p.ErrRefusedItem.Error() + ": I take nothing." }
func (*refusing) Unwrap() error { return p2p.ErrRefusedItem }

// What the person says of itself is remembered and told, and an idle computer
// makes nobody available.
func TestOwnStatus(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	r := newRig(t, path, func(c *client.Config) { c.Status = chat.OwnStatus{Display: "Me Myself"} })
	r.online("Bo")
	if own := r.Status().Own; own != (chat.OwnStatus{Presence: chat.Available, Display: "Me Myself"}) {
		t.Errorf("%+v", own)
	}
	r.AutoAway(true)
	r.AutoAway(true)
	r.AutoAway(false)
	busy := chat.OwnStatus{Presence: chat.Busy, Text: " in a meeting ", Department: "Sales"}
	if err := r.SetStatus(t.Context(), busy); err != nil {
		t.Fatal(err)
	}
	r.AutoAway(true)
	for what, own := range map[string]chat.OwnStatus{"long": {Text: strings.Repeat("x", 101)}, "unknown": {Presence: "asleep"}} {
		if refused, ok := errors.AsType[*localapi.Error](r.SetStatus(t.Context(), own)); !ok || !strings.HasSuffix(refused.Text, ".") {
			t.Errorf("a status that is %s: %v", what, refused)
		}
	}
	if err := r.SetStatus(t.Context(), chat.OwnStatus{}); err != nil { // still away
		t.Fatal(err)
	}
	if err := r.SetStatus(t.Context(), busy); err != nil {
		t.Fatal(err)
	}
	r.stop()
	if got, want := r.net.presences(), []p2p.Presence{p2p.Online, p2p.Away, p2p.Online, p2p.Busy, p2p.Busy, p2p.Away, p2p.Busy}; !slices.Equal(got, want) {
		t.Errorf("told %v, not %v", got, want)
	}
	r = newRig(t, path, func(c *client.Config) { c.Status = chat.OwnStatus{Display: "Me Myself"} })
	busy.Text = "in a meeting"
	if own := r.Status().Own; own != busy {
		t.Errorf("remembered %+v", own)
	}
}

// A coordinator that is met for the first time is told of, and one that is
// another than before is named as what it may be.
func TestCoordinatorsIdentity(t *testing.T) {
	r := fresh(t)
	print := identity.NewKey().Public().ID()
	r.net.events <- p2p.Connected{Server: "coordinator", Self: who("Me"), Secure: true, FirstUse: print}
	if n := r.awaitType(chat.EventNotice); !strings.Contains(n.Notice, "for the first time") {
		t.Errorf("%q", n.Notice)
	}
	if s := r.Status(); !s.Secure || s.Fingerprint != print.String() {
		t.Errorf("%+v", s)
	}
	r.net.events <- p2p.Disconnected{Cause: p2p.ErrIdentity}
	e, _ := r.await(func(e chat.Event) bool { return e.Status != nil && e.Status.Connection == chat.Offline })
	if !strings.Contains(e.Status.Problem, "can't prove") {
		t.Errorf("%q", e.Status.Problem)
	}
	r.net.events <- p2p.Connected{Server: "coordinator", Self: who("Me"), Secure: true}
	e, _ = r.await(func(e chat.Event) bool { return e.Status != nil && e.Status.Connection == chat.Online })
	if e.Status.Fingerprint != "" || e.Status.Problem != "" {
		t.Errorf("%+v", e.Status)
	}
}

// Without the secure protocol its services say so.
func TestWhatClassicCantDo(t *testing.T) {
	r := fresh(t)
	r.online("Bo")
	m := r.send("Bo", "hello", true)
	_, devicesErr := r.Devices(t.Context())
	_, joinErr := r.OfferJoin(t.Context())
	_, safetyErr := r.Safety(t.Context(), "Bo")
	_, selfErr := r.Safety(t.Context(), "Me")
	for what, err := range map[string]error{
		"devices": devicesErr, "join": joinErr, "safety": safetyErr, "safety of oneself": selfErr,
		"edit": r.Edit(t.Context(), m.ID, "x"), "delete": r.Delete(t.Context(), m.ID), "acknowledge": r.Acknowledge(t.Context(), m.ID),
		"verify": r.Trust(t.Context(), "Bo", chat.TrustVerify), "verify nobody": r.Trust(t.Context(), "Nobody", chat.TrustVerify),
		"remove": r.RemoveDevice(t.Context(), identity.NewKey().Public().String()),
	} {
		if refused, ok := errors.AsType[*localapi.Error](err); !ok || !strings.HasSuffix(refused.Text, ".") {
			t.Errorf("%s: %v", what, err)
		}
	}
	list, err := r.Recipients(t.Context(), m.ID)
	if err != nil || !slices.Equal(list, []chat.Recipient{{Name: "Bo", State: chat.Sent}}) {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := r.Recipients(t.Context(), 99); err == nil {
		t.Error("a message that isn't there has recipients")
	}
}

// Up to thirty-two items are under way to a device at once.
func TestItemsAreUnderWayTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSecureRig(t)
		defer r.stop()
		r.net.gate = make(chan struct{})
		for range 40 {
			r.send("Bo", "text", false)
		}
		synctest.Wait()
		if n := r.net.peak(); n != 64 { // half of them copies to the own phone
			t.Errorf("%d are under way at once", n)
		}
		close(r.net.gate)
		for range 40 {
			r.state("text", chat.Delivered)
		}
	})
}

// refused is a coordinator's no, with a reason that programs know.
type refused string

func (refused) Error() string    { return "The coordinator says so." }
func (refused) Unwrap() error    { return p2p.ErrRefused }
func (r refused) Reason() string { return string(r) }

// Why nobody is let in is said in the person's language where the reason is a
// known one, and else as the coordinator says it.
func TestRefusalsAreSentences(t *testing.T) {
	r := fresh(t)
	for _, c := range []struct{ reason, want string }{
		{"NAME_TAKEN", "Choose another one"}, {"OTHER_ACCOUNT", "another profile"}, {"INVITE_NEEDED", "needs an invitation"},
		{"INVITE_INVALID", "has expired"}, {"AWAITING_APPROVAL", "has yet to approve"}, {"DEVICE_REMOVED", "to join again"},
		{"JOIN_FAILED", "type it again"}, {"SHUTDOWN", "in a few seconds"}, {"REPLACED", "the newer connection"},
		{"VERSION", "Update the older"}, {"SOMETHING_NEW", "The coordinator says so."},
	} {
		r.net.events <- p2p.Connecting{}
		r.net.events <- p2p.Disconnected{Cause: refused(c.reason)}
		r.await(func(e chat.Event) bool {
			return e.Type == chat.EventStatus && strings.Contains(e.Status.Problem, c.want) && strings.HasSuffix(e.Status.Problem, ".")
		})
	}
}
