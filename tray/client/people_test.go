package client_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/localapi"
)

// pair is Ann and Bo, who have talked.
func (w *world) pair() (ann, bo *home) {
	ann, bo = w.home("Ann", "laptop"), w.home("Bo", "desk")
	ann.start()
	bo.start()
	w.until("Bo is there", func() bool { return ann.sees("Bo").Online && bo.sees("Ann").Online })
	ann.reached(ann.say("Bo", "first").ID, chat.Delivered)
	return ann, bo
}

// shows tells everyone of an account anew.
func (w *world) shows(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.accountChangedLocked(name, nil)
}

// intruder is a device that a coordinator puts into an account, and that nobody
// in it vouches for.
func (w *world) intruder(name string) *home { return w.add(name, "new phone", false) }

// gone takes a device off its account.
func (w *world) gone(h *home) {
	h.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.homes = slices.DeleteFunc(w.homes, func(other *home) bool { return other == h })
	w.accountChangedLocked(h.name, nil)
}

func (h *home) trust(peer string, action chat.TrustAction) {
	h.w.t.Helper()
	if err := h.engine.Trust(h.w.t.Context(), peer, action); err != nil {
		h.w.t.Fatal(err)
	}
}

// A coordinator that puts a device of its own into somebody's account gets
// nothing that is sent to that person, and nothing from it is taken; the person
// in front of the screen decides.
func TestCoordinatorThatLiesAboutADevice(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		ann, bo := w.pair()
		told := ann.notices()
		ann.trust("Bo", chat.TrustVerify)
		if !ann.sees("Bo").Verified {
			t.Error("Bo is not verified")
		}
		evil := w.intruder("Bo")
		evil.start()
		w.until("Ann is warned", func() bool { return ann.sees("Bo").Trust == chat.TrustChanged && told.has("vouches for") })
		w.until("Bo is warned too", func() bool {
			devices, err := bo.engine.Devices(t.Context())
			return err == nil && slices.ContainsFunc(devices, func(d chat.Device) bool { return d.New })
		})
		m := ann.say("Bo", "secret")
		evil.say("Ann", "I am Bo")
		bo.say("Ann", "I am the real Bo") // whom nobody doubts
		ann.arrived("Bo", "I am the real Bo")
		settle(time.Hour)
		if got := ann.message(m.ID); got.State != chat.Sending || !got.Waiting || !strings.HasSuffix(got.Problem, ".") {
			t.Errorf("%+v", got)
		}
		if got := slices.Concat(evil.texts("Ann", true), evil.texts("Bo", false)); len(got) != 0 {
			t.Errorf("the intruder has %q", got)
		}
		if got := ann.texts("Bo", true); !slices.Equal(got, []string{"I am the real Bo"}) {
			t.Errorf("Ann has %q", got)
		}
		safety, err := ann.engine.Safety(t.Context(), "Bo")
		if err != nil || !slices.ContainsFunc(safety.Devices, func(d chat.Device) bool { return d.New && d.Label == "new phone" }) {
			t.Errorf("%+v, %v", safety, err)
		}
		// It is taken away again: everything goes to whom it was meant for.
		w.gone(evil)
		ann.reached(m.ID, chat.Delivered)
		if p := ann.sees("Bo"); p.Trust.Blocked() {
			t.Errorf("%+v", p)
		}
	})
}

// Somebody who has lost every device comes back with a new one, is asked
// whether it is true, and is accepted: what waited goes to the new one.
func TestAcceptingANewDevice(t *testing.T) {
	inWorld(t, 21, func(t *testing.T, w *world) {
		ann, bo := w.pair()
		ann.trust("Bo", chat.TrustVerify)
		before, err := ann.engine.Safety(t.Context(), "Bo")
		if err != nil {
			t.Fatal(err)
		}
		bo.stop()
		w.until("Bo has left", func() bool { return !ann.sees("Bo").Online })
		m := ann.say("Bo", "are you there?")
		w.gone(bo)
		again := w.intruder("Bo")
		again.start()
		w.until("Ann is warned", func() bool { return ann.sees("Bo").Trust == chat.TrustChanged })
		ann.restart()
		w.until("Ann is warned after a restart", func() bool { return ann.sees("Bo").Trust == chat.TrustChanged })
		ann.trust("Bo", chat.TrustAccept)
		ann.reached(m.ID, chat.Delivered)
		again.arrived("Ann", "are you there?")
		again.say("Ann", "yes")
		ann.arrived("Bo", "yes")
		if p := ann.sees("Bo"); p.Trust != chat.TrustPinned || p.Verified {
			t.Errorf("%+v", p)
		}
		after, err := ann.engine.Safety(t.Context(), "Bo")
		if err != nil || after.Number == before.Number || len(after.Devices) != 1 {
			t.Errorf("%+v, %v", after, err)
		}
		other, err := again.engine.Safety(t.Context(), "Ann")
		if err != nil || other.Number != after.Number {
			t.Errorf("the two sides would compare %q and %q", after.Number, other.Number)
		}
	})
}

// A device that a known one vouches for is taken without a question, gets what
// is sent from then on, and one that is taken off gets nothing more; both are
// told of.
func TestDevicesComeAndGo(t *testing.T) {
	inWorld(t, 22, func(t *testing.T, w *world) {
		ann, desk := w.pair()
		ann.trust("Bo", chat.TrustVerify)
		told, own := ann.notices(), desk.notices()
		phone := w.home("Bo", "phone")
		phone.start()
		w.until("Ann is told", func() bool { return told.has("“phone”") && own.has("“phone”") })
		if p := ann.sees("Bo"); p.Trust != chat.TrustPinned {
			t.Errorf("the verified mark stays: %+v", p)
		}
		ann.say("Bo", "to both")
		desk.arrived("Ann", "to both")
		phone.arrived("Ann", "to both")
		desk.stop()
		m := ann.say("Bo", "to the phone")
		ann.reached(m.ID, chat.Delivered) // one device is enough
		id := desk.key.Public().String()
		if err := phone.engine.RemoveDevice(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		w.until("Ann is told again", func() bool { return told.has("“desk”") })
		w.until("nothing is kept for what is gone", func() bool {
			o, err := ann.store.Outbox(t.Context())
			return err == nil && len(o.Items) == 0
		})
		ids := []string{id, "nonsense", phone.key.Public().String()}
		for _, id := range ids {
			err := phone.engine.RemoveDevice(t.Context(), id)
			if refused, ok := errors.AsType[*localapi.Error](err); !ok || !strings.HasSuffix(refused.Text, ".") {
				t.Errorf("removing %q: %v", id, err)
			}
		}
		offer, err := phone.engine.OfferJoin(t.Context())
		if code, parseErr := identity.ParseJoinCode(offer.Code); err != nil || parseErr != nil || code != (identity.JoinCode{1}) {
			t.Errorf("%+v, %v, %v", offer, err, parseErr)
		}
	})
}

// Who was secure once is not written to by the classic protocol, before that is
// accepted; and not again after having been secure in between.
func TestNoSilentDowngrade(t *testing.T) {
	inWorld(t, 23, func(t *testing.T, w *world) {
		ann, bo := w.pair()
		told := ann.notices()
		set := func(classic bool) {
			w.mu.Lock()
			w.classic["Bo"] = classic
			w.mu.Unlock()
			w.shows("Bo")
		}
		set(true)
		w.until("Ann is warned", func() bool { return ann.sees("Bo").Trust == chat.TrustLost && told.has("without encryption") })
		m := ann.say("Bo", "in the open?")
		settle(time.Hour)
		if got := ann.message(m.ID); got.State != chat.Sending || !got.Waiting || !strings.Contains(got.Problem, "encrypt") {
			t.Errorf("%+v", got)
		}
		// What comes in the open under the name is shown, and doubted.
		w.mu.Lock()
		ann.node.events <- p2p.Received{From: "Bo", Known: true, Item: p2p.Item{Body: p2p.Text{Text: "trust me"}}}
		w.mu.Unlock()
		if got := ann.arrived("Bo", "trust me"); !got.Doubtful || got.Secure {
			t.Errorf("%+v", got)
		}
		for _, action := range []chat.TrustAction{chat.TrustVerify, "nonsense"} {
			if err := ann.engine.Trust(t.Context(), "Bo", action); err == nil {
				t.Errorf("%q was taken", action)
			}
		}
		ann.trust("Bo", chat.TrustAccept)
		if got := ann.reached(m.ID, chat.Sent); got.Secure {
			t.Errorf("%+v", got)
		}
		bo.arrived("Ann", "in the open?")
		if p := ann.sees("Bo"); p.Trust != chat.TrustNone || p.Secure {
			t.Errorf("%+v", p)
		}
		if _, err := ann.engine.Safety(t.Context(), "Bo"); err == nil {
			t.Error("there is something to compare with a classic person")
		}
		if err := ann.engine.Edit(t.Context(), m.ID, "x"); err == nil {
			t.Error("what has gone in the open was edited")
		}
		ann.restart()
		w.until("it is remembered", func() bool { p := ann.sees("Bo"); return p.Online && p.Trust == chat.TrustNone })
		set(false)
		w.until("Bo is secure again", func() bool { return ann.sees("Bo").Trust == chat.TrustPinned })
		set(true)
		w.until("Ann is warned anew", func() bool { return ann.sees("Bo").Trust == chat.TrustLost })
	})
}

// The coordinator can't read along by putting a device into one's own account.
func TestOwnAccountIsNotExtendedByOthers(t *testing.T) {
	inWorld(t, 24, func(t *testing.T, w *world) {
		ann, bo := w.pair()
		told := ann.notices()
		evil := w.intruder("Ann")
		evil.start()
		w.until("Ann is warned", func() bool { return told.has("none of your devices vouches for") })
		m := ann.say("Bo", "still between us")
		ann.reached(m.ID, chat.Delivered)
		bo.arrived("Ann", "still between us")
		settle(time.Minute)
		if got := evil.history(""); len(got) != 0 {
			t.Errorf("the intruder has %+v", got)
		}
		// It is one's own after all, made with an invitation.
		ann.trust("Ann", chat.TrustAccept)
		ann.say("Bo", "on all of mine")
		evil.arrived("Bo", "on all of mine")
	})
}

// Ann's computer is set up anew, and the administrator has let her in again:
// her own account is her own.
func TestOwnDeviceNeedsNoVoucher(t *testing.T) {
	inWorld(t, 25, func(t *testing.T, w *world) {
		ann, bo := w.pair()
		ann.stop()
		w.mu.Lock()
		ann.key = identity.NewKey()
		w.mu.Unlock()
		w.shows("Ann")
		ann.start()
		w.until("Ann is back", func() bool { return bo.sees("Ann").Trust == chat.TrustChanged })
		devices, err := ann.engine.Devices(t.Context())
		if err != nil || len(devices) != 1 || !devices[0].This || devices[0].New {
			t.Errorf("%+v, %v", devices, err)
		}
		bo.trust("Ann", chat.TrustAccept)
		ann.reached(ann.say("Bo", "it is me").ID, chat.Delivered)
	})
}
