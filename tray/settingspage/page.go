// Package settingspage is the page on which everything is set. It is a plain
// http.Handler of relative links, so that whoever serves pages can put it
// anywhere; that one also sees to it that only the person can open it.
//
// The page works without its script, by a button for each setting. With it,
// what is changed is saved at once.
package settingspage

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
	"earshot/tray/settings"
)

//go:embed page.html page.css page.js
var files embed.FS

// Engine is what the page needs of localapi.Engine.
type Engine interface {
	Status() chat.Status
	SetStatus(ctx context.Context, own chat.OwnStatus) error
	Roster() []chat.Person
	Settings(ctx context.Context) ([]settings.Item, error)
	SetSetting(ctx context.Context, name string, value any) error
	ResetSetting(ctx context.Context, name string) error
}

// maxForm is how long a form may be, in bytes.
const maxForm = 64 << 10

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
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { s.show(w, r, http.StatusOK, mistake{}) })
	mux.HandleFunc("GET /page.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "page.css") })
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "page.js") })
	mux.HandleFunc("GET /items", s.items)
	mux.HandleFunc("POST /set", s.form(s.set))
	mux.HandleFunc("POST /reset", s.form(func(r *http.Request, name string) error { return engine.ResetSetting(r.Context(), name) }))
	mux.HandleFunc("POST /person", s.form(s.person))
	return mux
}

type server struct {
	engine Engine
	p      *i18n.Printer
	log    *slog.Logger
	page   func() *template.Template
}

// mistake is what was entered and can't be.
type mistake struct{ Name, Value, Text string }

// status are the lines that are no settings: what the person says of itself.
const status = "status."

// form reads a form, has f do what it says, and answers a script with JSON and
// anybody else with the page.
func (s *server) form(f func(r *http.Request, name string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
			return
		}
		name := r.PostForm.Get("name")
		err := f(r, name)
		script := r.Header.Get("Accept") == "application/json"
		if err != nil {
			m := mistake{Name: name, Value: r.PostForm.Get("value"), Text: s.sentence(err)}
			if script {
				s.json(w, http.StatusUnprocessableEntity, map[string]string{"error": m.Text})
			} else {
				s.show(w, r, http.StatusUnprocessableEntity, m)
			}
			return
		}
		if script {
			s.items(w, r)
			return
		}
		// http.Redirect would make it absolute, from where the handler believes to be.
		w.Header().Set("Location", "./#s-"+name)
		w.WriteHeader(http.StatusSeeOther)
	}
}

// sentence is an error as the person reads it.
func (s *server) sentence(err error) string {
	if answer, ok := errors.AsType[*localapi.Error](err); ok {
		return answer.Text
	}
	if sentence, ok := settings.Explain(err, s.p); ok {
		return sentence
	}
	s.log.Error("a setting could not be changed", "error", err)
	return s.p.T("EngineSettingsNotSaved")
}

func (s *server) set(r *http.Request, name string) error {
	value := r.PostForm.Get("value")
	if field, ok := strings.CutPrefix(name, status); ok {
		own := s.engine.Status().Own
		switch field {
		case "presence":
			own.Presence = chat.Presence(value)
		case "text":
			own.Text = value
		case "display":
			own.Display = value
		case "department":
			own.Department = value
		}
		return s.engine.SetStatus(r.Context(), own)
	}
	if word := r.PostForm.Get("word"); word != "" {
		value = word // the box beside the number
	}
	if s.kind(r, name) == settings.Switch && value == "" {
		value = "off" // an empty box is not sent
	}
	return s.engine.SetSetting(r.Context(), name, value)
}

func (s *server) kind(r *http.Request, name string) settings.Kind {
	items, err := s.engine.Settings(r.Context())
	if err != nil {
		return ""
	}
	item, err := settings.Pick(items, name)
	if err != nil {
		return ""
	}
	return item.Kind
}

// person adds a person for whom something else holds: at first, that its next
// coming is told.
func (s *server) person(r *http.Request, _ string) error {
	return s.engine.SetSetting(r.Context(), "people."+strings.TrimSpace(r.PostForm.Get("value"))+".login", string(settings.Once))
}

func (s *server) items(w http.ResponseWriter, r *http.Request) {
	items, err := s.engine.Settings(r.Context())
	if err != nil {
		s.json(w, http.StatusInternalServerError, map[string]string{"error": s.sentence(err)})
		return
	}
	s.json(w, http.StatusOK, items)
}

func (s *server) json(w http.ResponseWriter, code int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.log.Debug("the page has hung up", "error", err)
	}
}

// view is what the template shows.
type view struct {
	Language string
	Groups   []group
	People   []person
	Names    []string // who is on the roster
	Mistake  mistake
}

type group struct {
	ID     settings.Group
	Label  string
	Own    []field // what the person says of itself
	Fields []field
}

// field is one line of the page.
type field struct {
	settings.Item
	Mistake string // what is wrong with what was entered
	Instead string // what holds while a text is empty
	Number  string // what stands in a number's box
	Unit    string
	Word    *settings.Named // the box beside a number
	Worded  bool            // it is ticked
	Options []option        // of a select
}

type option struct {
	Value, Label string
	Selected     bool
}

type person struct {
	Name    string
	Aspects []aspect
}

type aspect struct {
	Name, Label string
	Options     []option
}

func (s *server) show(w http.ResponseWriter, r *http.Request, code int, m mistake) {
	items, err := s.engine.Settings(r.Context())
	if err != nil {
		http.Error(w, s.sentence(err), http.StatusInternalServerError)
		return
	}
	v := view{Language: s.p.Tag().String(), Mistake: m}
	for _, g := range settings.Groups() {
		shown := group{ID: g.Group, Label: s.p.T(g.Label)}
		if g.Group == settings.GroupYou {
			shown.Own = s.own(m)
		}
		for _, item := range items {
			switch {
			case item.Group != g.Group:
			case item.Kind == settings.Folk:
				v.People = s.people(item.People())
			default:
				shown.Fields = append(shown.Fields, s.field(item, m))
			}
		}
		v.Groups = append(v.Groups, shown)
	}
	for _, p := range s.engine.Roster() {
		v.Names = append(v.Names, p.Name)
	}
	slices.Sort(v.Names)
	var page bytes.Buffer
	if err := s.page().Execute(&page, v); err != nil {
		s.log.Error("the page of settings can't be shown", "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(page.Bytes()) // whoever has hung up needs no page
}

// units are what numbers count.
var units = map[string]string{"away_after": "SettingsPageMinutes", "history_days": "SettingsPageDays"}

func (s *server) field(item settings.Item, m mistake) field {
	f := field{Item: item}
	value := item.Text
	if m.Name == item.Name {
		f.Mistake, value = m.Text, m.Value
		f.Text = value
	}
	if item.Name == "name" {
		f.Instead = s.engine.Status().Name
	}
	switch item.Kind {
	case settings.Number:
		if len(item.Words) > 0 {
			f.Word = &item.Words[0]
			f.Worded = value == f.Word.Value
		}
		if f.Number = value; f.Worded {
			f.Number = ""
		}
		if unit := units[item.Name]; unit != "" {
			f.Unit = s.p.T(unit)
		}
	case settings.Until:
		f.Options = s.until(item)
	case settings.Choice, settings.Text:
		for _, c := range item.Choices {
			f.Options = append(f.Options, option{c.Value, c.Label, c.Value == item.Text})
		}
		if len(f.Options) > 0 && !slices.ContainsFunc(f.Options, func(o option) bool { return o.Selected }) {
			f.Options = append(f.Options, option{item.Text, item.Shown, true})
		}
	}
	return f
}

// until offers lengths of time.
func (s *server) until(item settings.Item) []option {
	off := item.Text == ""
	options := []option{{"off", s.p.T("SettingsOff"), off}}
	if !off {
		options = append(options, option{item.Text, item.Shown, true})
	}
	for _, minutes := range []int{30, 60, 120, 240} {
		length := time.Duration(minutes) * time.Minute
		label := s.p.T("SettingsPageForMinutes", "Count", minutes)
		if minutes >= 60 {
			label = s.p.T("SettingsPageForHours", "Count", minutes/60)
		}
		options = append(options, option{length.String(), label, false})
	}
	now := time.Now()
	morning := time.Date(now.Year(), now.Month(), now.Day()+1, 8, 0, 0, 0, now.Location())
	return append(options, option{morning.Format(time.RFC3339), s.p.T("SettingsPageTomorrow"), false})
}

// own are the lines of what the person says of itself.
func (s *server) own(m mistake) []field {
	own := s.engine.Status().Own
	presence := field{Item: settings.Item{Name: status + "presence", Kind: settings.Choice, Label: s.p.T("SettingsPagePresence"), Help: s.p.T("SettingsPagePresenceHelp")}}
	for _, c := range []struct {
		presence chat.Presence
		label    string
	}{
		{chat.Available, "SettingsPageOnline"}, {chat.Away, "SettingsPageAway"}, {chat.Busy, "SettingsPageBusy"}, {chat.Invisible, "SettingsPageInvisible"},
	} {
		presence.Options = append(presence.Options, option{string(c.presence), s.p.T(c.label), c.presence == own.Presence})
	}
	fields := []field{presence}
	for _, l := range []struct{ name, label, help, value string }{
		{"text", "SettingsPageText", "SettingsPageTextHelp", own.Text},
		{"display", "SettingsPageDisplay", "SettingsPageDisplayHelp", own.Display},
		{"department", "SettingsPageDepartment", "SettingsPageDepartmentHelp", own.Department},
	} {
		fields = append(fields, field{Item: settings.Item{
			Name: status + l.name, Kind: settings.Text, Max: 100, Label: s.p.T(l.label), Help: s.p.T(l.help), Text: l.value,
		}})
	}
	for i := range fields {
		if fields[i].Name == m.Name {
			fields[i].Mistake, fields[i].Text = m.Text, m.Value
		}
	}
	return fields
}

// people are the lines of those for whom something else holds.
func (s *server) people(people settings.People) (list []person) {
	overrides := []struct {
		override settings.Override
		label    string
	}{
		{settings.AsUsual, "SettingsPageAsUsual"}, {settings.Always, "SettingsPageAlways"}, {settings.Never, "SettingsPageNever"}, {settings.Once, "SettingsPageOnce"},
	}
	names := make([]string, 0, len(people))
	for name := range people {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		of := people[name]
		p := person{Name: name}
		for _, a := range []struct {
			name, label string
			holds       settings.Override
		}{
			{"favourite", "SettingsPageFavourite", of.Favourite}, {"login", "SettingsPageLogin", of.Login}, {"logout", "SettingsPageLogout", of.Logout}, {"message", "SettingsPageMessage", of.Message},
		} {
			shown := aspect{Name: a.name, Label: s.p.T(a.label)}
			for _, o := range overrides {
				value, label := string(o.override), o.label
				switch {
				case o.override == settings.Once && a.name != "login", o.override == settings.Never && a.name == "favourite":
					continue
				case a.name == "favourite":
					label = map[settings.Override]string{settings.AsUsual: "SettingsPageNo", settings.Always: "SettingsPageYes"}[o.override]
				}
				if o.override == settings.AsUsual {
					value = "default"
				}
				shown.Options = append(shown.Options, option{value, s.p.T(label), o.override == a.holds})
			}
			p.Aspects = append(p.Aspects, shown)
		}
		list = append(list, p)
	}
	return list
}
