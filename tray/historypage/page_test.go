package historypage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot/tray/chat"
	"earshot/tray/historypage"
	"earshot/tray/i18n"
	"earshot/tray/pagehost"
	"earshot/tray/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engine is one with a real store.
type engine struct{ *store.Store }

func (e engine) Conversations(ctx context.Context) ([]chat.Conversation, error) {
	list, err := e.Store.Conversations(ctx, 1000)
	var out []chat.Conversation
	for _, c := range list {
		out = append(out, chat.Conversation(c))
	}
	return out, err
}

func (e engine) Erase(ctx context.Context, what chat.Erasure) (chat.Erased, error) {
	change := &store.Erase{What: what, Now: time.Now()}
	err := e.Apply(ctx, change)
	return chat.Erased{Count: change.Count, Kept: change.Kept}, err
}

// open returns an engine with what a week at an office leaves.
func open(t *testing.T, long int) engine {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "history.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	e := engine{s}
	at := time.Now().Add(-time.Duration(long+10) * time.Hour)
	say := func(peer, sender, text string, change func(*chat.Message)) {
		t.Helper()
		at = at.Add(time.Hour)
		m := chat.Message{Peer: peer, Sender: sender, Text: text, At: at, State: chat.Received}
		if sender == "me" {
			m.State = chat.Delivered
		}
		if change != nil {
			change(&m)
		}
		if err := e.Apply(t.Context(), &store.Add{Message: m}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range long {
		say("Ann Li", []string{"Ann Li", "me"}[i%2], fmt.Sprintf("Line number %d of a long conversation.", i+1), nil)
	}
	say("张三", "张三", "下午三点在人民广场的会议室开会，请大家把上周的报告带来。", nil)
	say("张三", "me", "好的，我把文件发给您。", func(m *chat.Message) { m.ReplyTo = int64(long + 1) })
	say(chat.Everyone, "Bo", "The coffee machine on the 3rd floor works again ☕", nil)
	say("Bo", "me", "Thanks! <b>Not bold</b> & \"quoted\"\nSecond line with a link: https://example.com/a?b=c", nil)
	say("Bo", "Bo", strings.Repeat("A long message that goes on and on. ", 20)+"Here is the budget you wanted. "+strings.Repeat("And on. ", 40), func(m *chat.Message) { m.Urgent = true })
	say(chat.SeveralPeer([]string{"Ann Li", "Bo", "Dr. Maximiliane von und zu Hohenstein"}), "me", "Who comes to lunch?", func(m *chat.Message) { m.Unread = false })
	say("Dr. Maximiliane von und zu Hohenstein", "Dr. Maximiliane von und zu Hohenstein", "Budget meeting at noon?", func(m *chat.Message) { m.Unread = true })
	return e
}

// hosted serves the page as the client does, and returns a link to it.
func hosted(t *testing.T, e historypage.Engine, language string) (link func() string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	host := pagehost.New(map[string]http.Handler{"history": historypage.Handler(e, i18n.New(language), log)}, func() string { return "No." }, log)
	t.Cleanup(host.Close)
	return func() string {
		t.Helper()
		at, err := host.Link("history")
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
}

// visitor is a browser without scripts that has been let in.
type visitor struct {
	t    *testing.T
	http *http.Client
	root string // of the page
}

func visit(t *testing.T, e historypage.Engine) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t: t, http: &http.Client{Jar: jar, Transport: new(http.Transport)}}
	t.Cleanup(v.http.CloseIdleConnections)
	link := hosted(t, e, "en")()
	root, _, _ := strings.Cut(link, "/open/")
	v.root = root + "/history/"
	v.do(link, nil)
	return v
}

func (v *visitor) do(at string, form url.Values) (code int, body string) {
	v.t.Helper()
	method := "GET"
	if form != nil {
		method = "POST"
	}
	r, err := http.NewRequestWithContext(v.t.Context(), method, at, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", strings.TrimSuffix(v.root, "/history/"))
	}
	answer, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func TestReading(t *testing.T) {
	v := visit(t, open(t, 250))
	for _, test := range []struct {
		at       string
		has, not []string
	}{
		{"", []string{"Latest messages", "Budget meeting", "Earlier messages"}, []string{"Later messages", "Line number 1 "}},
		{"?q=budget", []string{"<mark>Budget</mark>", "<mark>budget</mark>", "…"}, []string{"coffee"}},
		{"?q=" + url.QueryEscape("人民"), []string{"<mark>人民</mark>广场"}, []string{"coffee"}},
		{"?q=" + url.QueryEscape("<b>"), []string{"<mark>&lt;b&gt;</mark>Not bold"}, []string{"<b>Not"}},
		{"?q=zzzz&peer=Bo", []string{"No message contains that.", "Search all conversations"}, []string{"<ol"}},
		{"?peer=Ann+Li", []string{"Line number 250 ", "Line number 151 ", "Earlier messages"}, []string{"Line number 150 ", "Later messages"}},
		{"?peer=Ann+Li&before=151", []string{"Line number 150 ", "Line number 51 ", "Earlier messages", "Later messages"}, []string{"Line number 151 ", "Line number 50 "}},
		{"?peer=Ann+Li&before=51", []string{"Line number 1 ", "Later messages"}, []string{"Earlier messages"}},
		{"?peer=Ann+Li&after=50", []string{"Line number 51 ", "Line number 150 ", "Earlier messages", "Later messages"}, []string{"Line number 50 ", "Line number 151 "}},
		{"?peer=Ann+Li&after=150", []string{"Line number 250 ", "Earlier messages"}, []string{"Later messages"}},
		{"?peer=Ann+Li&at=100", []string{`id="m-100" class="own cited"`, "Line number 50 ", "Line number 149 ", "Earlier messages", "Later messages"}, []string{"Line number 49 ", "Line number 150 "}},
		{"?peer=Ann+Li&at=1", []string{`id="m-1" class=" cited"`, "Later messages"}, []string{"Earlier messages"}},
		{"?peer=Nobody", []string{"There are no messages yet"}, []string{"<ol"}},
		{"?before=x&after=-1&at=%00", []string{"Budget meeting"}, nil},
	} {
		code, body := v.do(v.root+test.at, nil)
		if code != 200 {
			t.Errorf("%q: %d", test.at, code)
		}
		for _, want := range test.has {
			if !strings.Contains(body, want) {
				t.Errorf("%q has no %q", test.at, want)
			}
		}
		for _, not := range test.not {
			if strings.Contains(body, not) {
				t.Errorf("%q has %q", test.at, not)
			}
		}
	}
}

func TestExport(t *testing.T) {
	v := visit(t, open(t, 1200))
	_, body := v.do(v.root+"export?as=json", nil)
	var all []chat.Message
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all) != 1207 || all[0].ID != 1 || all[1206].ID != 1207 {
		t.Errorf("%d messages, %v", len(all), err)
	}
	_, body = v.do(v.root+"export?as=json&peer=Bo&q=budget", nil)
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all) != 1 || all[0].Peer != "Bo" {
		t.Errorf("%+v, %v", all, err)
	}
	if _, body = v.do(v.root+"export?as=json&peer=Nobody", nil); strings.TrimSpace(body) != "[]" {
		t.Errorf("nothing is %q", body)
	}
	_, body = v.do(v.root+"export?as=text&peer=Bo", nil)
	if !strings.Contains(body, "  me → Bo: Thanks! <b>Not bold</b> & \"quoted\"\n\tSecond line") || strings.Contains(body, "Line number") {
		t.Errorf("as text it is\n%s", body)
	}
}

func TestErasing(t *testing.T) {
	e := open(t, 3)
	v := visit(t, e)
	left := func() int {
		list, err := e.Search(t.Context(), chat.Query{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if _, body := v.do(v.root+"erase?id=2", nil); !strings.Contains(body, "Delete this message?") || !strings.Contains(body, "Line number 2 ") || left() != 10 {
		t.Errorf("%d are left; %s", left(), body)
	}
	if _, body := v.do(v.root+"erase", url.Values{"id": {"2"}}); !strings.Contains(body, "1 message is deleted.") || strings.Contains(body, "Line number 2 ") || left() != 9 {
		t.Errorf("%d are left; %s", left(), body)
	}
	if code, _ := v.do(v.root+"erase?id=2", nil); code != 200 {
		t.Error(code)
	}
	if _, body := v.do(v.root+"erase?peer=Ann+Li", nil); !strings.Contains(body, "Delete all messages with Ann Li?") {
		t.Error(body)
	}
	if _, body := v.do(v.root+"erase", url.Values{"peer": {"Ann Li"}}); !strings.Contains(body, "2 messages are deleted.") || left() != 7 {
		t.Errorf("%d are left; %s", left(), body)
	}
	if _, body := v.do(v.root+"erase", url.Values{"all": {"on"}}); !strings.Contains(body, "There are no messages yet.") || left() != 0 {
		t.Errorf("%d are left; %s", left(), body)
	}
}
