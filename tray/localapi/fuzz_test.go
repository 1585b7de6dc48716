package localapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/settings"
)

// echo is an engine that notes what it was asked for.
type echo struct{ asked []any }

func (e *echo) note(what ...any) error {
	e.asked = append(e.asked, what)
	return nil
}

func (e *echo) Status() chat.Status   { _ = e.note("status"); return chat.Status{} }
func (e *echo) Roster() []chat.Person { _ = e.note("roster"); return nil }
func (e *echo) History(_ context.Context, peer string, before int64, limit int) ([]chat.Message, error) {
	return nil, e.note(peer, before, limit)
}
func (e *echo) Send(_ context.Context, d chat.Draft, wait bool) (chat.Message, error) {
	return chat.Message{Text: d.Text}, e.note(d, wait)
}
func (e *echo) Recipients(_ context.Context, id int64) ([]chat.Recipient, error) {
	return nil, e.note(id)
}
func (e *echo) Edit(_ context.Context, id int64, text string) error   { return e.note(id, text) }
func (e *echo) Delete(_ context.Context, id int64) error              { return e.note(id) }
func (e *echo) Acknowledge(_ context.Context, id int64) error         { return e.note(id) }
func (e *echo) Typing(peer string, active bool)                       { _ = e.note(peer, active) }
func (e *echo) SetStatus(_ context.Context, own chat.OwnStatus) error { return e.note(own) }
func (e *echo) Safety(_ context.Context, peer string) (chat.Safety, error) {
	return chat.Safety{}, e.note(peer)
}
func (e *echo) Trust(_ context.Context, p string, a chat.TrustAction) error { return e.note(p, a) }
func (e *echo) Devices(context.Context) ([]chat.Device, error)              { return nil, e.note("devices") }
func (e *echo) OfferJoin(context.Context) (chat.JoinOffer, error) {
	return chat.JoinOffer{}, e.note("join")
}
func (e *echo) Diagnose(_ context.Context, names []string) (chat.Diagnosis, error) {
	return chat.Diagnosis{}, e.note(names)
}
func (e *echo) Draft(_ context.Context, peer string) (chat.Draft, error) {
	return chat.Draft{}, e.note(peer)
}
func (e *echo) KeepDraft(_ context.Context, d chat.Draft) error { return e.note(d) }
func (e *echo) RemoveDevice(_ context.Context, id string) error { return e.note(id) }
func (e *echo) Retry(_ context.Context, id int64) error         { return e.note(id) }
func (e *echo) MarkRead(_ context.Context, peer string) error   { return e.note(peer) }
func (e *echo) Compose(_ context.Context, peer string) error    { return e.note(peer) }
func (e *echo) Settings(context.Context) ([]settings.Item, error) {
	return nil, e.note("settings")
}
func (e *echo) SetSetting(_ context.Context, name string, value any) error {
	return e.note(name, value)
}
func (e *echo) ResetSetting(_ context.Context, name string) error { return e.note(name) }
func (e *echo) Search(_ context.Context, q chat.Query) ([]chat.Message, error) {
	return nil, e.note(q)
}
func (e *echo) Conversations(context.Context) ([]chat.Conversation, error) {
	return nil, e.note("conversations")
}
func (e *echo) Erase(_ context.Context, what chat.Erasure) (chat.Erased, error) {
	return chat.Erased{}, e.note(what)
}
func (e *echo) Page(_ context.Context, name string) (string, error) { return "", e.note(name) }
func (e *echo) Quit()                                               { _ = e.note("quit") }
func (e *echo) Subscribe(role Role) Subscription                    { _ = e.note(role); return ended{} }

// ended is the subscription of an engine that has ended.
type ended struct{}

func (ended) Next(context.Context) (chat.Event, error) { return chat.Event{}, io.EOF }
func (ended) Close()                                   {}

// doors are the requests that there are.
var doors = []string{
	"GET /v1/status", "GET /v1/roster", "GET /v1/history", "GET /v1/recipients", "POST /v1/messages", "POST /v1/edit",
	"POST /v1/delete", "POST /v1/acknowledge", "POST /v1/typing", "POST /v1/presence", "GET /v1/safety", "POST /v1/trust",
	"GET /v1/devices", "POST /v1/devices/join", "POST /v1/devices/remove", "POST /v1/retry", "POST /v1/read",
	"POST /v1/compose", "POST /v1/quit", "GET /v1/events", "POST /v1/diagnose",
	"GET /v1/settings", "POST /v1/settings/set", "POST /v1/settings/reset", "POST /v1/page",
	"POST /v1/search", "GET /v1/conversations", "POST /v1/erase",
}

// ask has a request answered.
func ask(e Engine, door uint8, query, body string) *httptest.ResponseRecorder {
	method, path, _ := strings.Cut(doors[int(door)%len(doors)], " ")
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.URL.RawQuery = query
	w := httptest.NewRecorder()
	handler(e).ServeHTTP(w, r)
	return w
}

// FuzzRequests has whatever comes in by the local door answered: with what the
// engine says to a request that is one, and else with a sentence, and the
// engine hears nothing of it.
func FuzzRequests(f *testing.F) {
	type seed struct {
		query url.Values
		in    any
	}
	seeds := map[string]seed{
		"GET /v1/history":         {query: url.Values{"peer": {"a&b=c"}, "before": {"9"}, "limit": {"2"}}},
		"GET /v1/recipients":      {query: url.Values{"id": {"4"}}},
		"POST /v1/messages":       {in: chat.Draft{To: "张三", Text: "line 1\nline 2", ReplyTo: 5, Urgent: true}},
		"POST /v1/edit":           {in: editRequest{5, "new"}},
		"POST /v1/typing":         {in: typingRequest{"Bo", true}},
		"POST /v1/presence":       {in: chat.OwnStatus{Presence: chat.Busy, Text: "会议"}},
		"POST /v1/trust":          {in: trustRequest{"Bo", chat.TrustVerify}},
		"POST /v1/devices/remove": {in: deviceRequest{"2MFB"}},
		"POST /v1/settings/set":   {in: setRequest{"people.Ann.login", "once"}},
		"POST /v1/settings/reset": {in: nameRequest{"sounds"}},
		"POST /v1/search":         {in: chat.Query{Text: "吃 \"饭 了\"", Peer: "Bo", Before: 7, Limit: 3}},
		"POST /v1/erase":          {in: chat.Erasure{Peer: "Bo"}},
		"GET /v1/events":          {query: url.Values{"role": {string(Popup)}}},
	}
	for i, door := range doors {
		s := seeds[door]
		if s.in == nil {
			s.in = struct{}{}
		}
		body, err := json.Marshal(s.in)
		if err != nil {
			f.Fatal(err)
		}
		e := new(echo)
		if w := ask(e, uint8(i), s.query.Encode(), string(body)); w.Code != http.StatusOK || len(e.asked) != 1 {
			f.Fatalf("the seed %s %s is answered with %d %s", door, body, w.Code, w.Body)
		}
		f.Add(uint8(i), s.query.Encode(), string(body))
	}
	f.Fuzz(func(t *testing.T, door uint8, query, body string) {
		e := new(echo)
		w := ask(e, door, query, body)
		stream := w.Header().Get("Content-Type") == "text/event-stream"
		switch w.Code {
		case http.StatusOK:
			if len(e.asked) != 1 || !stream && !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%d requests are answered with %s", len(e.asked), w.Body)
			}
		case http.StatusBadRequest:
			var refused Error
			if err := json.Unmarshal(w.Body.Bytes(), &refused); err != nil || refused.Code != CodeBadRequest || refused.Text == "" || len(e.asked) != 0 {
				t.Fatalf("a refusal of %d requests reads %s, %v", len(e.asked), w.Body, err)
			}
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzEvents reads whatever stands in a stream of events. What is understood is
// understood in the same way when it is written again.
func FuzzEvents(f *testing.F) {
	var seed bytes.Buffer
	at := time.Unix(3, 0).UTC()
	events := []chat.Event{
		{Type: chat.EventSnapshot, At: at},
		{Type: chat.EventMessage, At: at, Message: &chat.Message{ID: 7, Peer: "张三", Text: "a\nb\r\ndata: c", At: at}},
		{Type: chat.EventPerson, At: at, Person: &chat.Person{Name: "Bo", Online: true}},
	}
	for _, e := range events {
		if err := write(&seed, string(e.Type), e); err != nil {
			f.Fatal(err)
		}
	}
	if err := write(&seed, endEvent, struct{}{}); err != nil {
		f.Fatal(err)
	}
	if read, err := readEvents(f.Context(), seed.Bytes()); len(read) != len(events) || !errors.Is(err, io.EOF) {
		f.Fatalf("the seed reads as %+v, %v", read, err)
	}
	f.Add(seed.Bytes())
	f.Add(bytes.ReplaceAll(seed.Bytes(), []byte("\n"), []byte("\r\n")))
	f.Add([]byte(": a comment\ndata: {}\n\nevent: end\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		events, err := readEvents(t.Context(), stream)
		if err == nil {
			t.Fatal("a stream has no end")
		}
		var written bytes.Buffer
		for _, e := range events {
			if err := write(&written, "x", e); err != nil {
				t.Fatal(err)
			}
		}
		first := bytes.Clone(written.Bytes())
		again, _ := readEvents(t.Context(), first)
		written.Reset()
		for _, e := range again {
			if err := write(&written, "x", e); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(first, written.Bytes()) {
			t.Fatalf("%s is read as %s", first, written.Bytes())
		}
	})
}

// readEvents reads a stream to its end, which is the error.
func readEvents(ctx context.Context, stream []byte) (events []chat.Event, err error) {
	r := &remote{client: Dial(""), ctx: ctx, body: io.NopCloser(nil), lines: bufio.NewReader(bytes.NewReader(stream))}
	for {
		event, err := r.next()
		if err != nil {
			return events, err
		}
		events = append(events, event)
	}
}
