package client_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/tray/chat"
	"earshot/tray/client"
	"earshot/tray/localapi"
	"earshot/tray/settings"
)

// book keeps settings in memory.
type book struct {
	content []byte
	broken  error
}

func (b *book) Load() (settings.Chosen, error) { return settings.Decode("settings.toml", b.content) }
func (b *book) Save(c settings.Chosen) error {
	if b.broken == nil {
		b.content = settings.Encode(c)
	}
	return b.broken
}

// choose returns settings in which one thing is chosen.
func choose(t *testing.T, name string, value any) *settings.Live {
	t.Helper()
	live, err := settings.Open(new(book), settings.Policy{}, nil)
	if err == nil {
		err = live.Set(t.Context(), name, value)
	}
	if err != nil {
		t.Fatal(err)
	}
	return live
}

// A change holds from the next sign of typing on.
func TestTypingCanBeOff(t *testing.T) {
	inWorld(t, 9, func(t *testing.T, w *world) {
		ann, others := w.crowd(1)
		bo := others[0]
		if err := ann.engine.SetSetting(t.Context(), "typing", "off"); err != nil {
			t.Fatal(err)
		}
		ann.engine.Typing(bo.name, true)
		settle(p2p.TypingFor / 2)
		if bo.sees("Ann").Typing {
			t.Error("Ann types for all to see")
		}
		if err := ann.engine.ResetSetting(t.Context(), "typing"); err != nil {
			t.Fatal(err)
		}
		ann.engine.Typing(bo.name, true)
		w.until("Ann types", func() bool { return bo.sees("Ann").Typing })
		settle(time.Minute)
	})
}

func TestSettingsOfTheEngine(t *testing.T) {
	b := new(book)
	policy, err := settings.DecodePolicy("policy.toml", []byte("[locked]\nsounds = false\n"))
	if err != nil {
		t.Fatal(err)
	}
	live, err := settings.Open(b, policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, t.TempDir()+"/h.db", func(c *client.Config) { c.Settings = live })
	items, err := r.Engine.Settings(t.Context())
	if err != nil || len(items) != len(settings.All()) {
		t.Errorf("%d settings, %v", len(items), err)
	}
	code := func(err error) string {
		answer, ok := errors.AsType[*localapi.Error](err)
		if !ok {
			t.Errorf("%v", err)
			return ""
		}
		return answer.Code
	}
	if got := code(r.Engine.SetSetting(t.Context(), "sounds", true)); got != localapi.CodeLocked {
		t.Errorf("a locked one gives %s", got)
	}
	if got := code(r.Engine.SetSetting(t.Context(), "away_after", "soon")); got != localapi.CodeBadRequest {
		t.Errorf("a wrong one gives %s", got)
	}
	b.broken = errors.New("the disk is full")
	if got := code(r.Engine.SetSetting(t.Context(), "away_after", 5)); got != localapi.CodeFailed {
		t.Errorf("a full disk gives %s", got)
	}
	b.broken = nil
	if err := r.Engine.SetSetting(t.Context(), "away_after", 5); err != nil {
		t.Error(err)
	}

	r.Engine.Adapt([]string{"server", "away_after"}, "elsewhere")
	e := r.awaitType(chat.EventSettings)
	if !slices.Equal(e.Settings, []string{"server", "away_after"}) || r.Engine.Status().Server != "elsewhere" {
		t.Errorf("%+v at %s", e, r.Engine.Status().Server)
	}
}

// What is older than is wanted goes as soon as that is set, and then by itself;
// what nobody has seen stays, and nothing comes twice.
func TestOldMessagesAreDeleted(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		ann, others := w.crowd(1)
		bo := others[0]
		texts := func() (list []string) {
			t.Helper()
			messages, err := bo.engine.History(t.Context(), "Ann", 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				list = append(list, m.Text)
			}
			return list
		}
		say := func(text string) {
			t.Helper()
			ann.say(bo.name, text)
			bo.arrived("Ann", text)
		}
		say("first")
		if err := bo.engine.MarkRead(t.Context(), "Ann"); err != nil {
			t.Fatal(err)
		}
		settle(25 * time.Hour)
		say("second")
		if err := bo.engine.SetSetting(t.Context(), "history_days", "1"); err != nil {
			t.Fatal(err)
		}
		// Whoever runs the engine passes on what has changed.
		bo.engine.Adapt([]string{"history_days"}, "coordinator")
		w.until("the first is gone", func() bool { return slices.Equal(texts(), []string{"second"}) })
		settle(48 * time.Hour)
		if got := texts(); !slices.Equal(got, []string{"second"}) {
			t.Errorf("unread, and left are %q", got)
		}
		if err := bo.engine.MarkRead(t.Context(), "Ann"); err != nil {
			t.Fatal(err)
		}
		settle(7 * time.Hour)
		if got := texts(); len(got) > 0 {
			t.Errorf("left are %q", got)
		}
	})
}

// A secure coordinator would not let the device in under another name.
func TestAnAccountKeepsItsName(t *testing.T) {
	r := newSecureRig(t)
	err := r.SetSetting(t.Context(), "name", "Another")
	if refused, ok := errors.AsType[*localapi.Error](err); !ok || refused.Code != localapi.CodeBadRequest || !strings.Contains(refused.Text, "Me") {
		t.Errorf("another name gives %v", err)
	}
	if err := r.ResetSetting(t.Context(), "name"); err == nil {
		t.Error("the name can be reset")
	}
	if err := r.SetSetting(t.Context(), "name", "ME"); err != nil {
		t.Errorf("the same name, spelt otherwise: %v", err)
	}
}
