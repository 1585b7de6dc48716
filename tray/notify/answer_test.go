//go:build linux

package notify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"github.com/godbus/dbus/v5"

	"earshot/tray/chat"
	"earshot/tray/localapi"
)

// clerk is an engine that notes what notifications have it do.
type clerk struct {
	localapi.Engine
	fails bool
	draft string
	did   []string
}

func (c *clerk) Send(_ context.Context, d chat.Draft, _ bool) (chat.Message, error) {
	if c.fails {
		return chat.Message{}, errors.New("The disk is full.")
	}
	c.did = append(c.did, "send "+d.To+": "+d.Text)
	return chat.Message{}, nil
}

func (c *clerk) MarkRead(_ context.Context, peer string) error {
	c.did = append(c.did, "read "+peer)
	return nil
}

func (c *clerk) Compose(_ context.Context, peer string) error {
	c.did = append(c.did, "compose "+peer)
	return nil
}

func (c *clerk) Draft(context.Context, string) (chat.Draft, error) {
	return chat.Draft{Text: c.draft}, nil
}

func (c *clerk) KeepDraft(_ context.Context, d chat.Draft) error {
	c.did = append(c.did, "keep "+d.To+": "+d.Text)
	return nil
}

// What a person does about a note is done, and a reply that can't be sent is
// not lost.
func TestCarryOut(t *testing.T) {
	for _, c := range []struct {
		answer answer
		clerk  clerk
		want   []string
	}{
		{answer{openIt, "Ann", ""}, clerk{}, []string{"compose Ann"}},
		{answer{readIt, "Ann", ""}, clerk{}, []string{"read Ann"}},
		{answer{replyTo, "Ann", " at one \n"}, clerk{}, []string{"send Ann: at one", "read Ann"}},
		{answer{replyTo, "Ann", " "}, clerk{}, []string{"compose Ann"}},
		{answer{replyTo, "Ann", "at one"}, clerk{fails: true}, []string{"keep Ann: at one", "compose Ann"}},
		{answer{replyTo, "Ann", "at one"}, clerk{fails: true, draft: "so far"}, []string{"keep Ann: so far\nat one", "compose Ann"}},
	} {
		c.answer.carryOut(t.Context(), &c.clerk, slog.New(slog.DiscardHandler))
		if !slices.Equal(c.clerk.did, c.want) {
			t.Errorf("%+v: %q, want %q", c.answer, c.clerk.did, c.want)
		}
	}
}

// plasma is a notification service in which one can reply, as KDE's.
type plasma struct{ actions chan []string }

func (p plasma) Notify(_ string, _ uint32, _, summary, _ string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	p.actions <- actions
	return uint32(len(summary)), nil
}

func (plasma) GetCapabilities() ([]string, *dbus.Error) {
	return []string{"body", "actions", "inline-reply"}, nil
}

func (plasma) CloseNotification(uint32) *dbus.Error { return nil }

// Where the service offers it, one replies and marks as read without a window;
// to everyone nobody replies like that. What the service tells of others' notes
// is none of ours.
func TestReplyInTheNote(t *testing.T) {
	p := plasma{make(chan []string, 8)}
	s, conn := sinkAt(t, p)
	for _, n := range []struct {
		note note
		want []string
	}{
		{note{key: "a", title: "1", peer: "Ann", written: true}, []string{"default", "Open", "open", "Open", "read", "Mark as read", "inline-reply", "Reply"}},
		{note{key: "e", title: "22", peer: chat.Everyone, written: true}, []string{"default", "Open", "open", "Open", "read", "Mark as read"}},
		{note{key: "l", title: "333", peer: "Bo"}, []string{"default", "Open", "open", "Open"}},
		{note{key: "n", title: "4444"}, nil},
	} {
		if err := s.show(n.note); err != nil {
			t.Fatal(err)
		}
		if got := <-p.actions; !slices.Equal(got, n.want) {
			t.Errorf("%s has the actions %q, want %q", n.note.key, got, n.want)
		}
	}
	for _, signal := range []struct {
		name string
		body []any
		want answer
	}{
		{"NotificationReplied", []any{uint32(99), "somebody else's"}, answer{}},
		{"ActionInvoked", []any{uint32(1), "inline-reply"}, answer{}},
		{"NotificationReplied", []any{uint32(1), "你好"}, answer{replyTo, "Ann", "你好"}},
		{"ActionInvoked", []any{uint32(2), "read"}, answer{readIt, chat.Everyone, ""}},
		{"ActionInvoked", []any{uint32(3), "default"}, answer{openIt, "Bo", ""}},
	} {
		if err := conn.Emit(object, service+"."+signal.name, signal.body...); err != nil {
			t.Fatal(err)
		}
		if signal.want == (answer{}) {
			continue // it must not be what comes next
		}
		if got := <-s.answers(); got != signal.want {
			t.Errorf("%s %v is %+v", signal.name, signal.body, got)
		}
	}
}
