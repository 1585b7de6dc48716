// Package historypage is the page on which all messages are searched, read,
// exported and deleted. Like the page of settings it is an http.Handler of
// relative links, which works without a script, for it has none.
package historypage

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
)

//go:embed page.html page.css
var files embed.FS

// Engine is what the page needs of localapi.Engine.
type Engine interface {
	Searcher
	Conversations(ctx context.Context) ([]chat.Conversation, error)
	Erase(ctx context.Context, what chat.Erasure) (chat.Erased, error)
}

const (
	maxForm = 64 << 10
	// shown is how many messages one page has, and excerpt how many characters
	// of one that was found.
	shown   = 100
	excerpt = 280
)

// Handler serves the page at its root: mount it below a path that ends in a
// slash. Texts are in the printer's language.
func Handler(engine Engine, p *i18n.Printer, log *slog.Logger) http.Handler {
	s := &server{engine: engine, p: p, log: log}
	// A client that runs for weeks may never show it.
	s.page = sync.OnceValue(func() *template.Template {
		return template.Must(template.New("page.html").Funcs(template.FuncMap{
			"t": func(id string, args ...any) string { return s.p.T(id, args...) },
		}).ParseFS(files, "page.html"))
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.read)
	mux.HandleFunc("GET /page.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "page.css") })
	mux.HandleFunc("GET /export", s.export)
	mux.HandleFunc("GET /erase", s.confirm)
	mux.HandleFunc("POST /erase", s.erase)
	return mux
}

type server struct {
	engine Engine
	p      *i18n.Printer
	log    *slog.Logger
	page   func() *template.Template
}

// view is what the template shows.
type view struct {
	Language, Query, Peer, Name string
	All                         string // the link to everything
	Conversations               []conversation
	Days                        []day
	Found                       bool   // it is what was found, not a conversation
	Older, Newer                string // links to further pages; empty if there are none
	ExportText, ExportJSON      string
	EraseLink                   string
	Done, Problem               string
	Confirm                     *confirmation
}

type conversation struct {
	Name, Link, Last string
	Unread           int
	Current          bool
}

type day struct {
	Label    string
	Messages []message
}

type message struct {
	ID              int64
	Who, Peer, Time string
	At              string // for programs
	Own, Cited      bool
	Quote           string
	Parts           []chat.Mark
	Notes           []string
	Link, Erase     string
}

// confirmation asks whether something is to be deleted.
type confirmation struct {
	Question, Back string
	ID             int64
	Peer           string
	All            bool
	Message        *message
}

// read shows what was found, or a conversation: its end, or the place of a
// message.
func (s *server) read(w http.ResponseWriter, r *http.Request) {
	in := r.URL.Query()
	q := chat.Query{Text: in.Get("q"), Peer: in.Get("peer"), Limit: shown}
	q.Before, q.After = number(in, "before"), number(in, "after")
	at := number(in, "at")
	v := s.view(r, q)
	list, older, newer, err := s.around(r.Context(), q, at)
	if err != nil {
		s.fail(w, r, v, err)
		return
	}
	v.Found = q.Text != "" || q.Peer == ""
	if v.Found {
		slices.Reverse(list)
	}
	terms := chat.Terms(q.Text)
	for _, m := range list {
		label := s.day(m.At.Local(), time.Now())
		if n := len(v.Days); n == 0 || v.Days[n-1].Label != label {
			v.Days = append(v.Days, day{Label: label})
		}
		last := &v.Days[len(v.Days)-1]
		last.Messages = append(last.Messages, s.message(m, terms, v.Found, at))
	}
	if len(list) > 0 {
		first, last := list[0].ID, list[len(list)-1].ID
		if v.Found {
			first, last = last, first
		}
		if older {
			v.Older = link("./", "q", q.Text, "peer", q.Peer, "before", strconv.FormatInt(first, 10))
		}
		if newer {
			v.Newer = link("./", "q", q.Text, "peer", q.Peer, "after", strconv.FormatInt(last, 10))
		}
	}
	if n := in.Get("erased"); n != "" {
		v.Done = s.p.T("HistoryErased", "Count", int(number(in, "erased")))
		if kept := int(number(in, "kept")); kept > 0 {
			v.Done += " " + s.p.T("HistoryKept", "Count", kept)
		}
	}
	s.show(w, http.StatusOK, v)
}

// around returns a page of messages, and whether there are older and newer ones.
func (s *server) around(ctx context.Context, q chat.Query, at int64) (list []chat.Message, older, newer bool, err error) {
	if at == 0 {
		q.Limit++ // one more tells that there are others
		list, err = s.engine.Search(ctx, q)
		more := len(list) == q.Limit
		switch {
		case q.After != 0 && q.Before == 0:
			if more {
				list = list[:shown]
			}
			return list, true, more, err
		case more:
			list = list[1:]
		}
		return list, more, q.Before != 0, err
	}
	before := chat.Query{Peer: q.Peer, Before: at, Limit: shown/2 + 1}
	after := chat.Query{Peer: q.Peer, After: at - 1, Limit: shown/2 + 1}
	if at == 1 {
		after.After = chat.Beginning
	}
	list, err = s.engine.Search(ctx, before)
	if err != nil {
		return nil, false, false, err
	}
	if older = len(list) == before.Limit; older {
		list = list[1:]
	}
	later, err := s.engine.Search(ctx, after)
	if newer = len(later) == after.Limit; newer {
		later = later[:shown/2]
	}
	return append(list, later...), older, newer, err
}

// view is what every page has.
func (s *server) view(r *http.Request, q chat.Query) view {
	v := view{Language: s.p.Tag().String(), Query: q.Text, Peer: q.Peer, All: link("./", "q", q.Text)}
	if q.Peer != "" {
		v.Name = s.name(q.Peer)
	}
	v.ExportText = link("export", "as", string(Text), "q", q.Text, "peer", q.Peer)
	v.ExportJSON = link("export", "as", string(JSON), "q", q.Text, "peer", q.Peer)
	if q.Peer != "" {
		v.EraseLink = link("erase", "peer", q.Peer)
	} else {
		v.EraseLink = link("erase", "all", "on")
	}
	list, err := s.engine.Conversations(r.Context())
	if err != nil {
		return v // the page says why, for it needs the messages, too
	}
	slices.SortStableFunc(list, func(a, b chat.Conversation) int { return b.Last.Compare(a.Last) })
	now := time.Now()
	for _, c := range list {
		v.Conversations = append(v.Conversations, conversation{
			Name: s.name(c.Peer), Link: link("./", "q", q.Text, "peer", c.Peer), Last: s.short(c.Last.Local(), now),
			Unread: c.Unread, Current: c.Peer == q.Peer,
		})
	}
	return v
}

func (s *server) message(m chat.Message, terms []string, found bool, at int64) message {
	id := strconv.FormatInt(m.ID, 10)
	out := message{
		ID: m.ID, Who: m.Sender, Time: m.At.Local().Format("15:04"), At: m.At.Format(time.RFC3339), Own: m.State != chat.Received,
		Cited: m.ID == at, Quote: m.Quote, Erase: link("erase", "id", id),
		Link: link("./", "peer", m.Peer, "at", id) + "#m-" + id,
	}
	if out.Own {
		out.Who = s.p.T("CliYou")
	}
	if found && (out.Own || m.Peer != m.Sender) {
		out.Peer = s.name(m.Peer)
	}
	if found {
		out.Parts = chat.Excerpt(m.Text, terms, excerpt)
	} else {
		out.Parts = chat.Marks(m.Text, terms)
	}
	for _, note := range []struct {
		holds bool
		id    string
	}{
		{m.Deleted, "CliDeleted"}, {m.Urgent && !m.Deleted, "CliUrgent"}, {m.Edited, "CliEdited"}, {m.Doubtful, "CliDoubtful"}, {m.State == chat.Failed, "PopupStateFailed"},
		{m.State == chat.Sending, "PopupStateSending"},
	} {
		if note.holds {
			out.Notes = append(out.Notes, s.p.T(note.id))
		}
	}
	return out
}

// name is an addressee as the person reads it.
func (s *server) name(peer string) string {
	if peer == chat.Everyone {
		return s.p.T("PopupEveryone")
	}
	return peerName(peer)
}

// export writes everything that was found, or a conversation, as a file.
func (s *server) export(w http.ResponseWriter, r *http.Request) {
	in := r.URL.Query()
	format, kind, end := Text, "text/plain; charset=utf-8", "txt"
	if in.Get("as") == string(JSON) {
		format, kind, end = JSON, "application/json", "json"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="earshot-history-`+time.Now().Format(time.DateOnly)+`.`+end+`"`)
	q := chat.Query{Text: in.Get("q"), Peer: in.Get("peer")}
	if err := Export(w, All(r.Context(), s.engine, q), format); err != nil {
		s.log.Error("an export broke off", "error", err)
		panic(http.ErrAbortHandler) // or half of it would look like the whole
	}
}

func (s *server) show(w http.ResponseWriter, code int, v view) {
	var page bytes.Buffer
	if err := s.page().Execute(&page, v); err != nil {
		s.log.Error("the page of the history can't be made", "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = page.WriteTo(w) // the browser may be gone
}

// fail shows a page with what went wrong.
func (s *server) fail(w http.ResponseWriter, r *http.Request, v view, err error) {
	if r.Context().Err() != nil {
		return // nobody waits any more
	}
	code := http.StatusInternalServerError
	answer, ok := errors.AsType[*localapi.Error](err)
	if ok {
		v.Problem = answer.Text
		if answer.Code == localapi.CodeBadRequest {
			code = http.StatusUnprocessableEntity
		}
	} else {
		s.log.Error("the history can't be shown", "error", err)
		v.Problem = s.p.T("EngineHistoryFailed")
	}
	s.show(w, code, v)
}

// link is an address with those parameters that aren't empty.
func link(to string, parameters ...string) string {
	values := make(url.Values)
	for i := 0; i < len(parameters); i += 2 {
		if parameters[i+1] != "" {
			values.Set(parameters[i], parameters[i+1])
		}
	}
	if len(values) == 0 {
		return to
	}
	return to + "?" + values.Encode()
}

// number is a parameter, and 0 if it isn't a positive number.
func number(in url.Values, name string) int64 {
	n, err := strconv.ParseInt(in.Get(name), 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}
