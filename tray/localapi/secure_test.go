package localapi_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/settings"
)

var (
	recipients = []chat.Recipient{{Name: "Ann 安", State: chat.Read, Acknowledged: true}, {Name: "Bo", State: chat.Sending, Waiting: true, Problem: "away"}}
	safety     = chat.Safety{Peer: "Ann 安", Number: "12345", Trust: chat.TrustVerified, Devices: devices}
	devices    = []chat.Device{{ID: "K7QX", Label: "desk", Online: true, This: true}, {ID: "2MFB", New: true}}
	diagnosis  = chat.Diagnosis{
		At: time.Unix(7, 0).UTC(), Protocol: chat.ProtocolSecure, Server: "c.example:13277",
		Checks: []chat.Check{{What: "tcp", OK: true, Milliseconds: 12}, {What: "web", Why: "nothing answers"}},
		NAT:    "hard", Firewall: "restricted", Addresses: []chat.Address{{Kind: "host", At: "10.0.0.2:5000"}},
		MappingWhy: "nobody asked", Relay: true, NotTried: 3,
		People: []chat.Reach{{Name: "Ann 安", Route: chat.RouteRelayed, Milliseconds: 900}, {Name: "Bo", Skip: chat.SkipClassic}},
	}
	offer = chat.JoinOffer{Code: "K7QX-2MFB", Expires: time.Unix(9, 0).UTC()}
)

func (e *engine) Recipients(_ context.Context, id int64) ([]chat.Recipient, error) {
	e.note("recipients %d", id)
	return recipients, nil
}
func (e *engine) Edit(_ context.Context, id int64, text string) error {
	e.note("edit %d %q", id, text)
	return nil
}
func (e *engine) Delete(_ context.Context, id int64) error { e.note("delete %d", id); return nil }
func (e *engine) Acknowledge(_ context.Context, id int64) error {
	e.note("acknowledge %d", id)
	return nil
}
func (e *engine) Typing(peer string, active bool) { e.note("typing %q %v", peer, active) }
func (e *engine) SetStatus(_ context.Context, own chat.OwnStatus) error {
	e.note("status %+v", own)
	return nil
}
func (e *engine) Safety(_ context.Context, peer string) (chat.Safety, error) {
	e.note("safety %q", peer)
	return safety, nil
}
func (e *engine) Trust(_ context.Context, peer string, action chat.TrustAction) error {
	e.note("trust %q %s", peer, action)
	return nil
}
func (e *engine) Devices(context.Context) ([]chat.Device, error)    { return devices, nil }
func (e *engine) OfferJoin(context.Context) (chat.JoinOffer, error) { return offer, nil }
func (e *engine) Diagnose(_ context.Context, names []string) (chat.Diagnosis, error) {
	e.note("diagnose %q", names)
	return diagnosis, nil
}
func (e *engine) RemoveDevice(_ context.Context, id string) error {
	e.note("remove %s", id)
	return nil
}

var items = []settings.Item{{Name: "sounds", Kind: settings.Switch, Group: settings.GroupNotifications, Value: true, Text: "on", Label: "声音"}}

func (e *engine) Settings(context.Context) ([]settings.Item, error) { return items, nil }
func (e *engine) SetSetting(_ context.Context, name string, value any) error {
	if name == "locked" {
		return &localapi.Error{Code: localapi.CodeLocked, Text: "Your administrator has set this."}
	}
	e.note("set %q %v", name, value)
	return nil
}
func (e *engine) ResetSetting(_ context.Context, name string) error {
	e.note("reset %q", name)
	return nil
}

func (e *engine) Page(_ context.Context, name string) (string, error) {
	return "http://127.0.0.1:1/" + name, nil
}

func TestSecureCallsPassThrough(t *testing.T) {
	e, c, _ := serve(t)
	ctx := t.Context()
	if got, err := c.Recipients(ctx, 4); err != nil || !reflect.DeepEqual(got, recipients) {
		t.Errorf("recipients %+v, %v", got, err)
	}
	if got, err := c.Safety(ctx, "a&b 安"); err != nil || !reflect.DeepEqual(got, safety) {
		t.Errorf("safety %+v, %v", got, err)
	}
	if got, err := c.Devices(ctx); err != nil || !reflect.DeepEqual(got, devices) {
		t.Errorf("devices %+v, %v", got, err)
	}
	if got, err := c.OfferJoin(ctx); err != nil || got != offer {
		t.Errorf("offer %+v, %v", got, err)
	}
	if got, err := c.Diagnose(ctx, []string{"Ann 安", "Bo"}); err != nil || !reflect.DeepEqual(got, diagnosis) {
		t.Errorf("diagnosis %+v, %v", got, err)
	}
	if got, err := c.Settings(ctx); err != nil || !reflect.DeepEqual(got, items) {
		t.Errorf("settings %+v, %v", got, err)
	}
	if locked, ok := errors.AsType[*localapi.Error](c.SetSetting(ctx, "locked", true)); !ok || locked.Code != localapi.CodeLocked {
		t.Errorf("a locked setting gives %v", locked)
	}
	if got, err := c.Page(ctx, "settings"); err != nil || got != "http://127.0.0.1:1/settings" {
		t.Errorf("page %q, %v", got, err)
	}
	c.Typing("Bo", true)
	err := errors.Join(
		c.Edit(ctx, 5, "new 新"), c.Delete(ctx, 6), c.Acknowledge(ctx, 7),
		c.SetStatus(ctx, chat.OwnStatus{Presence: chat.Busy, Text: "会议", Display: "Me", Department: "Lab"}),
		c.Trust(ctx, "Bo", chat.TrustVerify), c.RemoveDevice(ctx, "2MFB"),
		c.SetSetting(ctx, "people.Ann 安.login", "once"), c.ResetSetting(ctx, "sounds"),
	)
	if err != nil {
		t.Error(err)
	}
	want := []string{
		"recipients 4", `safety "a&b 安"`, `diagnose ["Ann 安" "Bo"]`, `typing "Bo" true`, `edit 5 "new 新"`, "delete 6", "acknowledge 7",
		"status {Presence:busy Text:会议 Display:Me Department:Lab}", `trust "Bo" verify`, "remove 2MFB",
		`set "people.Ann 安.login" once`, `reset "sounds"`,
	}
	if !reflect.DeepEqual(e.calls, want) {
		t.Errorf("calls %q, not %q", e.calls, want)
	}
}
