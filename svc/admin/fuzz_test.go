package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// echo is a coordinator that has nobody, and notes what it was asked for.
type echo struct{ asked []any }

func (e *echo) user(what ...any) (User, error) {
	e.asked = append(e.asked, what)
	return User{Name: what[1].(string)}, nil
}

func (e *echo) Link(host string) (string, error)        { e.asked = append(e.asked, host); return "", nil }
func (e *echo) Users() []User                           { e.asked = append(e.asked, "users"); return nil }
func (e *echo) User(name string) (User, error)          { return e.user("show", name) }
func (e *echo) Backup(context.Context, io.Writer) error { return errors.New("there is nothing") }

func (e *echo) Invite(_ context.Context, wanted InviteRequest) (Invitation, error) {
	e.asked = append(e.asked, wanted)
	return Invitation{}, nil
}
func (e *echo) Approve(_ context.Context, name string) (User, error) { return e.user("approve", name) }
func (e *echo) Reset(_ context.Context, name string) (User, error)   { return e.user("reset", name) }
func (e *echo) Remove(_ context.Context, name string) (User, error)  { return e.user("remove", name) }
func (e *echo) RemoveDevice(_ context.Context, name, id string) (User, error) {
	return e.user("device", name, id)
}
func (e *echo) Reload(context.Context) (Reloaded, error) {
	e.asked = append(e.asked, "reload")
	return Reloaded{Changed: []string{"log_level"}, Waiting: []string{"listen"}}, nil
}
func (e *echo) Restore(_ context.Context, r io.Reader) (Restored, error) {
	b, err := io.ReadAll(r)
	e.asked = append(e.asked, string(b))
	return Restored{Users: len(b)}, err
}

// doors are the requests that there are.
var doors = []string{
	"GET /v1/link", "GET /v1/users", "POST /v1/invite", "POST /v1/users/approve", "POST /v1/users/reset",
	"POST /v1/users/remove", "POST /v1/users/remove-device", "GET /v1/backup", "POST /v1/restore",
}

// ask has a request answered.
func ask(b Backend, door uint8, query string, body []byte) *httptest.ResponseRecorder {
	method, path, _ := bytes.Cut([]byte(doors[int(door)%len(doors)]), []byte(" "))
	r := httptest.NewRequest(string(method), string(path), bytes.NewReader(body))
	r.URL.RawQuery = query
	w := httptest.NewRecorder()
	handler(b).ServeHTTP(w, r)
	return w
}

// FuzzRequests has whatever comes in by the administrator's door answered: with
// what the backend says to a request that is one, and else with an error, of
// which the backend hears nothing.
func FuzzRequests(f *testing.F) {
	for door, seed := range map[uint8]struct {
		query url.Values
		in    any
	}{
		0: {query: url.Values{"host": {"chat.example:1"}}},
		1: {query: url.Values{"name": {"张三"}}},
		2: {in: InviteRequest{Name: "ann", Host: "chat.example", Lifetime: 1 << 40}},
		3: {in: nameRequest{Name: "ann"}},
		6: {in: nameRequest{Name: "ann", Device: "K7QX2MFB"}},
		8: {in: "backup"},
	} {
		body, err := json.Marshal(seed.in)
		if err != nil {
			f.Fatal(err)
		}
		b := new(echo)
		if w := ask(b, door, seed.query.Encode(), body); w.Code != http.StatusOK || len(b.asked) != 1 {
			f.Fatalf("the seed %s %s is answered with %d %s", doors[door], body, w.Code, w.Body)
		}
		f.Add(door, seed.query.Encode(), body)
	}
	f.Fuzz(func(t *testing.T, door uint8, query string, body []byte) {
		b := new(echo)
		w := ask(b, door, query, body)
		switch w.Code {
		case http.StatusOK:
			if !json.Valid(w.Body.Bytes()) || len(b.asked) != 1 {
				t.Fatalf("%d requests are answered with %s", len(b.asked), w.Body)
			}
		case http.StatusBadRequest, http.StatusInternalServerError:
			var refused Error
			if err := json.Unmarshal(w.Body.Bytes(), &refused); err != nil || refused.Code == "" || refused.Text == "" || len(b.asked) != 0 {
				t.Fatalf("a refusal of %d requests reads %s, %v", len(b.asked), w.Body, err)
			}
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
