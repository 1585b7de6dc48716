package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot/svc/admin"
)

func TestMain(m *testing.M) {
	// Windows' pipes have a goroutine that never ends.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/Microsoft/go-winio.ioCompletionProcessor"))
}

// backend does nothing and notes what it was asked for.
type backend struct {
	asked  []string
	backup []byte
	// broken fails a backup after its beginning.
	broken bool
}

var created = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

var ann = admin.User{Name: "Ann", State: admin.Active, Created: created, Removed: []string{"OLD"},
	Devices: []admin.Device{{ID: "K7QX", Label: "a laptop", Added: created, EndorsedBy: []string{"OLD"}}}}

func (b *backend) note(words ...string) { b.asked = append(b.asked, strings.Join(words, " ")) }

func (b *backend) Link(host string) (string, error) { return "earshot://" + host + "/#F", nil }

func (b *backend) Invite(_ context.Context, wanted admin.InviteRequest) (admin.Invitation, error) {
	b.note("invite", wanted.Name, wanted.Host, wanted.Lifetime.String())
	return admin.Invitation{Link: "earshot://h/?invite=T#F", Expires: created}, nil
}
func (b *backend) Users() []admin.User { return []admin.User{ann} }

func (b *backend) User(name string) (admin.User, error) { return b.user("show", name) }

func (b *backend) user(verb, name string) (admin.User, error) {
	b.note(verb, name)
	if name != "ann" {
		return admin.User{}, &admin.Error{Code: admin.CodeUnknown, Text: "there is no " + name}
	}
	return ann, nil
}

func (b *backend) Approve(_ context.Context, name string) (admin.User, error) {
	return b.user("approve", name)
}
func (b *backend) Reset(_ context.Context, name string) (admin.User, error) {
	return b.user("reset", name)
}
func (b *backend) Remove(_ context.Context, name string) (admin.User, error) {
	return b.user("remove", name)
}
func (b *backend) RemoveDevice(_ context.Context, name, id string) (admin.User, error) {
	return b.user("remove-device "+id, name)
}

func (b *backend) Reload(context.Context) (admin.Reloaded, error) {
	if b.broken {
		return admin.Reloaded{}, &admin.Error{Code: admin.CodeRefused, Text: "line 3 makes no sense"}
	}
	return admin.Reloaded{Changed: []string{"log_level"}, Waiting: []string{}}, nil
}

func (b *backend) Backup(_ context.Context, w io.Writer) error {
	if b.broken {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
		return errors.New("the disk is full")
	}
	if b.backup == nil {
		return errors.New("there is nothing")
	}
	_, err := w.Write(b.backup)
	return err
}

func (b *backend) Restore(_ context.Context, r io.Reader) (admin.Restored, error) {
	text, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(text, b.backup) {
		return admin.Restored{}, &admin.Error{Code: admin.CodeRefused, Text: "this is no backup"}
	}
	return admin.Restored{Users: 3, Link: "earshot://h/#F"}, nil
}

func TestReload(t *testing.T) {
	b := new(backend)
	c, _ := serve(t, b)
	if done, err := c.Reload(t.Context()); err != nil || !slices.Equal(done.Changed, []string{"log_level"}) || len(done.Waiting) > 0 {
		t.Errorf("%+v, %v", done, err)
	}
	b.broken = true
	_, err := c.Reload(t.Context())
	if told, ok := errors.AsType[*admin.Error](err); !ok || told.Code != admin.CodeRefused || told.Text != "line 3 makes no sense" {
		t.Errorf("%v", err)
	}
}

// serve serves b at a data directory until the test ends.
func serve(t *testing.T, b *backend) (*admin.Client, string) {
	t.Helper()
	data := t.TempDir()
	listener, err := admin.Listen(data)
	if err != nil {
		t.Fatal(err)
	}
	firstCall(t, data)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- admin.Serve(ctx, listener, b) }()
	client := admin.Dial(data)
	t.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return client, data
}

// Everything goes through as it is.
func TestThrough(t *testing.T) {
	b := &backend{backup: bytes.Repeat([]byte("backup\x00\xff"), 200_000)}
	c, _ := serve(t, b)
	ctx := t.Context()
	check := func(got any, err error, want any) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v; not %+v", got, err, want)
		}
	}
	link, err := c.Link(ctx, "büro & co")
	check(link, err, "earshot://büro & co/#F")
	i, err := c.Invite(ctx, admin.InviteRequest{Name: "李雷", Host: "h", Lifetime: time.Hour})
	check(i, err, admin.Invitation{Link: "earshot://h/?invite=T#F", Expires: created})
	users, err := c.Users(ctx)
	check(users, err, []admin.User{ann})
	for _, do := range []func(context.Context, string) (admin.User, error){c.User, c.Approve, c.Reset} {
		u, err := do(ctx, "ann")
		check(u, err, ann)
	}
	u, err := c.RemoveDevice(ctx, "ann", "K7")
	check(u, err, ann)
	check(nil, c.Remove(ctx, "ann"), nil)
	check(b.asked, nil, []string{"invite 李雷 h 1h0m0s", "show ann", "approve ann", "reset ann", "remove-device K7 ann", "remove ann"})

	var copied bytes.Buffer
	check(nil, c.Backup(ctx, &copied), nil)
	if !bytes.Equal(copied.Bytes(), b.backup) {
		t.Errorf("the backup has %d bytes, not %d", copied.Len(), len(b.backup))
	}
	restored, err := c.Restore(ctx, &copied)
	check(restored, err, admin.Restored{Users: 3, Link: "earshot://h/#F"})
}

func TestErrorsGoThrough(t *testing.T) {
	b := &backend{}
	c, data := serve(t, b)
	ctx := t.Context()
	want := func(err error, code, text string) {
		t.Helper()
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Code != code || e.Text != text {
			t.Errorf("%v", err)
		}
	}
	_, err := c.User(ctx, "bo")
	want(err, admin.CodeUnknown, "there is no bo")
	want(c.Remove(ctx, "bo"), admin.CodeUnknown, "there is no bo")
	want(c.Backup(ctx, io.Discard), admin.CodeFailed, "there is nothing")
	_, err = c.Restore(ctx, strings.NewReader("garbage"))
	want(err, admin.CodeRefused, "this is no backup")
	// The half of a backup is no backup.
	b.broken = true
	if err := c.Backup(ctx, io.Discard); !errors.Is(err, admin.ErrLost) {
		t.Errorf("a backup that breaks off: %v", err)
	}

	// What another program may send.
	raw := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer(data)}}
	for _, body := range []string{"", "{", `{"nam":"ann"}`, `[]`, strings.Repeat(" ", 100_000) + "{}"} {
		r, err := raw.Post("http://x/v1/users/remove", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var e admin.Error
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil || r.StatusCode != http.StatusBadRequest || e.Code != admin.CodeBadRequest {
			t.Errorf("%.20q: %s, %+v", body, r.Status, e)
		}
		r.Body.Close()
	}
}

func TestNobodyThere(t *testing.T) {
	c := admin.Dial(t.TempDir())
	if _, err := c.Users(t.Context()); !errors.Is(err, admin.ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	if err := c.Backup(t.Context(), io.Discard); !errors.Is(err, admin.ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
}
