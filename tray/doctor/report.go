// Package doctor says in plain words what of the network works for the client,
// what doesn't, and what to do about it.
//
//	report.go  what is known, as JSON and as lines of text
//	alone.go   finding it out where no client runs
//	bundle.go  a file for whoever is asked for help
package doctor

import (
	"net"
	"strings"

	"earshot/tray/chat"
	"earshot/tray/i18n"
)

// Report is what `earshot doctor --json` prints. Fields are added, and never
// change their meaning.
type Report struct {
	// Healthy says that nothing needs to be done.
	Healthy bool   `json:"healthy"`
	Version string `json:"version"`
	System  string `json:"system"` // such as linux/amd64
	// Running says that a client runs; without one less is known.
	Running    bool            `json:"running"`
	Connection chat.Connection `json:"connection,omitempty"`
	// Problem is why it is not online, as a sentence.
	Problem   string         `json:"problem,omitempty"`
	Diagnosis chat.Diagnosis `json:"diagnosis"`
}

// Level is how a line is meant.
type Level string

const (
	Head  Level = "head" // a heading
	Good  Level = "good"
	Note  Level = "note" // worth knowing, and nothing to do about
	Wrong Level = "wrong"
)

// Line is a sentence of a report.
type Line struct {
	Level Level
	Text  string
}

// Judge sets Healthy.
func (r *Report) Judge() {
	r.Healthy = true
	for _, l := range r.Lines(i18n.New("en")) {
		if l.Level == Wrong {
			r.Healthy = false
		}
	}
}

// Lines are the report in words.
func (r *Report) Lines(p *i18n.Printer) []Line {
	w := &writer{p: p}
	w.coordinator(r)
	if r.Diagnosis.Protocol != chat.ProtocolClassic {
		w.network(&r.Diagnosis)
		w.people(&r.Diagnosis)
	}
	return w.lines
}

// Text is the report as a terminal shows it.
func (r *Report) Text(p *i18n.Printer) string {
	marks := map[Level]string{Good: "✓ ", Note: "· ", Wrong: "✗ "}
	var b strings.Builder
	for i, l := range r.Lines(p) {
		if l.Level == Head && i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(marks[l.Level] + l.Text + "\n")
	}
	verdict := "DoctorTrouble"
	if r.Healthy {
		verdict = "DoctorHealthy"
	}
	return b.String() + "\n" + p.T(verdict) + "\n"
}

type writer struct {
	p     *i18n.Printer
	lines []Line
}

func (w *writer) say(level Level, id string, args ...any) {
	w.lines = append(w.lines, Line{level, w.p.T(id, args...)})
}

// coordinator is whether and how the coordinator is reached.
func (w *writer) coordinator(r *Report) {
	d := &r.Diagnosis
	host, port := d.Server, "13277"
	if h, p, err := net.SplitHostPort(d.Server); err == nil {
		host, port = h, p
	}
	w.say(Head, "DoctorCoordinator", "Server", d.Server)
	switch {
	case !r.Running:
		w.say(Note, "DoctorNotRunning")
	case r.Connection == chat.Online && d.Protocol == chat.ProtocolClassic:
		w.say(Good, "DoctorOnlineClassic")
	case r.Connection == chat.Online:
		w.say(Good, "DoctorOnline")
	case r.Problem != "":
		w.lines = append(w.lines, Line{Wrong, r.Problem})
	default:
		w.say(Wrong, "DoctorOffline")
	}
	ok := make(map[string]bool)
	for _, c := range d.Checks {
		ok[c.What] = c.OK
	}
	for _, c := range d.Checks {
		c.Why = strings.TrimSuffix(c.Why, ".") // it stands in brackets
		switch {
		case c.What == "name" && !c.OK:
			w.say(Wrong, "DoctorNoName", "Host", host, "Why", c.Why)
			return // the rest follows from it
		case c.What == "name":
			w.say(Good, "DoctorName", "Host", host)
		case c.What == "tcp" && c.OK:
			w.say(Good, "DoctorTCP", "Milliseconds", c.Milliseconds)
		case c.What == "tcp" && ok["web"]:
			w.say(Note, "DoctorTCPButWeb", "Port", port, "Why", c.Why)
		case c.What == "tcp":
			w.say(Wrong, "DoctorNoTCP", "Port", port, "Why", c.Why)
		case c.What == "udp" && c.OK:
			w.say(Good, "DoctorUDP", "Milliseconds", c.Milliseconds)
		case c.What == "udp":
			w.say(Wrong, "DoctorNoUDP", "Port", port, "Why", c.Why)
		case c.What == "web" && c.OK:
			w.say(Good, "DoctorWeb", "Milliseconds", c.Milliseconds)
		case c.What == "web" && ok["tcp"]:
			w.say(Note, "DoctorNoWebNeeded", "Why", c.Why)
		case c.What == "web":
			w.say(Note, "DoctorNoWeb", "Why", c.Why)
		}
	}
}

// network is what routers and firewalls do.
func (w *writer) network(d *chat.Diagnosis) {
	kinds := map[string]string{
		"none": "DoctorNATNone", "easy": "DoctorNATEasy", "hard": "DoctorNATHard", "blocked": "DoctorNATBlocked",
	}
	id, known := kinds[d.NAT]
	if !known {
		return
	}
	w.say(Head, "DoctorNetwork")
	level := Good
	if d.NAT == "hard" || d.NAT == "blocked" {
		level = Note
	}
	w.say(level, id)
	switch d.Firewall {
	case "open":
		w.say(Good, "DoctorFirewallOpen")
	case "restricted":
		w.say(Note, "DoctorFirewallRestricted")
	}
	switch {
	case d.Mapping != "":
		w.say(Good, "DoctorMapped", "Protocol", d.Mapping)
	case d.MappingWhy != "":
		w.lines = append(w.lines, Line{Note, d.MappingWhy})
	}
	var at []string
	for _, a := range d.Addresses {
		at = append(at, a.At)
	}
	if len(at) > 0 {
		w.say(Note, "DoctorAddresses", "Addresses", strings.Join(at, ", "))
	}
}

// people is who is reached, how, and why not better.
func (w *writer) people(d *chat.Diagnosis) {
	if len(d.People) == 0 && !d.Hidden {
		return
	}
	w.say(Head, "DoctorPeople")
	if d.Hidden {
		w.say(Note, "DoctorHidden")
	}
	skips := map[chat.Skip]string{chat.SkipOffline: "DoctorSkipOffline", chat.SkipClassic: "DoctorSkipClassic", chat.SkipBlocked: "DoctorSkipBlocked"}
	for _, r := range d.People {
		args := []any{"Name", r.Name, "Milliseconds", r.Milliseconds}
		switch {
		case r.Skip == chat.SkipBlocked:
			w.say(Wrong, skips[r.Skip], "Name", r.Name)
		case r.Skip != chat.SkipNot:
			w.say(Note, skips[r.Skip], "Name", r.Name)
		case r.Route == chat.RouteDirect:
			w.say(Good, "DoctorDirect", args...)
		case r.Route == chat.RoutePunched:
			w.say(Good, "DoctorPunched", args...)
		case r.Route == chat.RouteRelayed && d.NAT == "blocked":
			w.say(Note, "DoctorRelayedBlocked", args...)
		case r.Route == chat.RouteRelayed && d.NAT == "hard":
			w.say(Note, "DoctorRelayedHard", args...)
		case r.Route == chat.RouteRelayed:
			w.say(Note, "DoctorRelayed", args...)
		default:
			w.say(Wrong, "DoctorUnreachable", "Name", r.Name)
		}
	}
	if d.NotTried > 0 {
		w.say(Note, "DoctorNotTried", "Count", d.NotTried)
	}
}
