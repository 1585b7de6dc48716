package settingspage_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
	"earshot/tray/pagehost"
	"earshot/tray/settings"
	"earshot/tray/settingspage"
)

// engine is one with real settings, in memory.
type engine struct {
	*settings.Live
	p *i18n.Printer

	mu      sync.Mutex
	content []byte
	own     chat.OwnStatus
	people  []chat.Person
}

func (e *engine) Load() (settings.Chosen, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return settings.Decode("settings.toml", e.content)
}

func (e *engine) Save(c settings.Chosen) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.content = settings.Encode(c)
	return nil
}

func (e *engine) Status() chat.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return chat.Status{Name: "ann", Own: e.own}
}

func (e *engine) SetStatus(_ context.Context, own chat.OwnStatus) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(own.Text) > 100 {
		return &localapi.Error{Code: localapi.CodeBadRequest, Text: "The status is too long."}
	}
	e.own = own
	return nil
}

func (e *engine) Roster() []chat.Person                             { return e.people }
func (e *engine) Settings(context.Context) ([]settings.Item, error) { return e.List(e.p), nil }
func (e *engine) SetSetting(ctx context.Context, name string, value any) error {
	return e.Set(ctx, name, value)
}
func (e *engine) ResetSetting(ctx context.Context, name string) error { return e.Reset(ctx, name) }

const policy = `managed_by = "IT of Example Ltd."
[locked]
server = "earshot://chat.example.com/#ABCDEF"
read_receipts = false
`

// switched is what the operating system keeps.
type switched struct{ on bool }

func (s *switched) Status() (bool, error) { return s.on, nil }
func (s *switched) Set(on bool) error     { s.on = on; return nil }

func serve(t *testing.T, language, policyText string) (*engine, string) {
	t.Helper()
	rules, err := settings.DecodePolicy("/etc/earshot/policy.toml", []byte(strings.ReplaceAll(policyText, "earshot://chat.example.com/#ABCDEF", "chat.example.com")))
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{p: i18n.New(language), own: chat.OwnStatus{Presence: chat.Available}, people: []chat.Person{{Name: "Bo"}, {Name: "张三"}}}
	if e.Live, err = settings.Open(e, rules, map[string]settings.Outside{"start_at_login": new(switched)}); err != nil {
		t.Fatal(err)
	}
	e.OnChange(func([]string) { e.p.Switch(language) })
	page := settingspage.Handler(e, e.p, slog.New(slog.DiscardHandler))
	mux := http.NewServeMux()
	mux.Handle("/settings/", http.StripPrefix("/settings", page))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return e, s.URL + "/settings/"
}

// hosted serves a page as the client does, and returns a link to it.
func hosted(t *testing.T, e *engine) (link func() string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	host := pagehost.New(map[string]http.Handler{"settings": settingspage.Handler(e, e.p, log)}, func() string { return "No." }, log)
	t.Cleanup(host.Close)
	return func() string {
		t.Helper()
		at, err := host.Link("settings")
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
}

// post sends a form as a browser without scripts does, and follows where it
// leads.
func post(t *testing.T, at string, form url.Values) (code int, body, end string) {
	t.Helper()
	r, err := http.PostForm(at, form)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b), r.Request.URL.Path
}

func TestForms(t *testing.T) {
	e, at := serve(t, "en", policy)
	form := func(words ...string) url.Values {
		v := url.Values{}
		for i := 0; i < len(words); i += 2 {
			v.Set(words[i], words[i+1])
		}
		return v
	}
	for _, test := range []struct {
		to   string
		form url.Values
		code int
		in   string
	}{
		{"set", form("name", "sounds"), 200, ""}, // an empty box
		{"set", form("name", "away_after", "value", "7"), 200, `value="7"`},
		{"set", form("name", "history_days", "value", "7", "word", "forever"), 200, ""},
		{"set", form("name", "away_after", "value", "soon<b>"), 422, "Write a whole number from 1"},
		{"set", form("name", "server", "value", "elsewhere"), 422, "IT of Example Ltd. has set this"},
		{"set", form("name", "nonsense", "value", "x"), 422, ""},
		{"set", form("name", "status.presence", "value", "busy"), 200, `<option value="busy" selected>`},
		{"set", form("name", "status.text", "value", "in a meeting"), 200, `value="in a meeting"`},
		{"set", form("name", "status.text", "value", strings.Repeat("x", 101)), 422, "The status is too long."},
		{"person", form("name", "people", "value", " Ann "), 200, `value="people.Ann.login"`},
		{"person", form("name", "people", "value", "a,b"), 422, "can’t be a person"},
		{"set", form("name", "people.Ann.message", "value", "off"), 200, ""},
		{"person", form("name", "people", "value", "<script>alert(1)</script>"), 200, "people.&lt;script&gt;alert(1)&lt;/script&gt;"},
		{"reset", form("name", "people.<script>alert(1)</script>"), 200, ""},
		{"reset", form("name", "away_after"), 200, ""},
	} {
		code, body, end := post(t, at+test.to, test.form)
		if code != test.code || !strings.Contains(strings.ReplaceAll(body, "&#39;", "’"), strings.ReplaceAll(test.in, "can't", "can’t")) || code == 200 && end != "/settings/" {
			t.Errorf("%s %v: %d at %s, without %q", test.to, test.form, code, end, test.in)
		}
		if strings.Contains(body, "<b>") || strings.Contains(body, "<script>alert") {
			t.Errorf("%s %v: the page holds what was entered as it is", test.to, test.form)
		}
	}
	v := e.Values()
	if v.Sounds || v.AwayAfter != 10 || v.HistoryDays != 0 || v.People.Of("Ann") != (settings.Person{Login: settings.Once, Message: settings.Never}) || len(v.People) != 1 {
		t.Errorf("%+v", v)
	}
	if own := e.Status().Own; own.Presence != chat.Busy || own.Text != "in a meeting" {
		t.Errorf("%+v", own)
	}
}

// A script is answered with what holds now, or with what is wrong.
func TestScripts(t *testing.T) {
	_, at := serve(t, "zh-Hans", "")
	for value, want := range map[string]string{"off": `"name":"sounds"`, "loud": `{"error":"请写 on 或 off。"}`} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"set", strings.NewReader(url.Values{"name": {"sounds"}, "value": {value}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %s, %v", value, b, err)
		}
	}
}
