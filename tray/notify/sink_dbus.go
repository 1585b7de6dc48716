//go:build !windows && !darwin

package notify

import (
	"context"
	"errors"
	"html"
	"log/slog"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"

	"earshot/tray/i18n"
	"earshot/tray/sessionbus"
)

const (
	service = "org.freedesktop.Notifications"
	object  = "/org/freedesktop/Notifications"
)

// newSink speaks to the desktop's notification service itself where there is a
// session bus, because only so a note can be replaced, taken back and clicked;
// beeep is the way where there is none.
func newSink(ctx context.Context, p *i18n.Printer, log *slog.Logger) sink {
	s, err := newDBus(ctx, p)
	if err != nil {
		log.Info("notifications go the plain way", "reason", err)
		return newPlain()
	}
	return s
}

// bus shows notes through org.freedesktop.Notifications.
type bus struct {
	conn    *dbus.Conn
	ctx     context.Context // of the sink's life
	plain   *plain          // if the service fails
	p       *i18n.Printer
	shown   map[string]uint32
	peers   map[uint32]string
	can     []string // the service's capabilities; nil: not asked yet
	signals chan *dbus.Signal
	clicks  chan answer
	asks    chan ask
	ended   chan struct{}
}

// ask is a change of the tables, which belong to the listening goroutine.
type ask func()

func newDBus(ctx context.Context, p *i18n.Printer) (*bus, error) {
	conn, err := sessionbus.Connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &bus{
		conn: conn, ctx: ctx, plain: newPlain(), p: p,
		shown: make(map[string]uint32), peers: make(map[uint32]string),
		signals: make(chan *dbus.Signal, 16), clicks: make(chan answer, 8), asks: make(chan ask), ended: make(chan struct{}),
	}
	conn.Signal(s.signals)
	err = errors.Join(
		conn.AddMatchSignal(dbus.WithMatchInterface(service), dbus.WithMatchObjectPath(object)),
		conn.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, service)),
	)
	if err != nil {
		conn.Close()
		return nil, err
	}
	go s.listen()
	return s, nil
}

// listen owns the tables of what is shown until the connection ends.
func (s *bus) listen() {
	defer close(s.ended)
	for {
		select {
		case f := <-s.asks:
			f()
		case signal, open := <-s.signals:
			if !open {
				return
			}
			s.signal(signal)
		}
	}
}

// signal handles what the service says, to everybody on the bus: only our own
// IDs are meant.
func (s *bus) signal(signal *dbus.Signal) {
	if signal.Name == "org.freedesktop.DBus.NameOwnerChanged" {
		// Another service doesn't know the old one's IDs.
		clear(s.shown)
		clear(s.peers)
		s.can = nil
		return
	}
	if len(signal.Body) < 1 {
		return
	}
	id, ok := signal.Body[0].(uint32)
	if !ok {
		return
	}
	peer, ours := s.peers[id]
	if !ours {
		return
	}
	second := ""
	if len(signal.Body) > 1 {
		second, _ = signal.Body[1].(string)
	}
	switch signal.Name {
	case service + ".ActionInvoked":
		switch second {
		case actionRead:
			s.answer(answer{reaction: readIt, peer: peer})
		case actionReply: // the text comes by itself
		default:
			s.answer(answer{reaction: openIt, peer: peer})
		}
	case service + ".NotificationReplied":
		s.answer(answer{reaction: replyTo, peer: peer, text: second})
	case service + ".NotificationClosed":
		delete(s.peers, id)
		for key, shown := range s.shown {
			if shown == id {
				delete(s.shown, key)
			}
		}
	}
}

// The actions besides a click. That for a reply is the service's own.
const (
	actionOpen  = "open"
	actionRead  = "read"
	actionReply = "inline-reply"
)

func (s *bus) answer(a answer) {
	if a.peer == "" {
		return
	}
	select {
	case s.clicks <- a:
	default: // eight are being carried out
	}
}

// do runs f on the goroutine that owns the tables.
func (s *bus) do(f func()) {
	done := make(chan struct{})
	select {
	case s.asks <- func() { f(); close(done) }:
		<-done
	case <-s.ended:
	}
}

func (s *bus) show(n note) error {
	var replaces uint32
	s.do(func() { replaces = s.shown[n.key] })
	if n.silent && replaces == 0 {
		return nil // the person has put it away
	}
	hints, expires := hints(n)
	var id uint32
	err := s.conn.Object(service, object).CallWithContext(s.ctx, service+".Notify", 0,
		appName, replaces, s.plain.icon, n.title, s.body(n.body), s.actions(n), hints, expires).Store(&id)
	if err != nil {
		return s.plain.show(n)
	}
	s.do(func() {
		s.shown[n.key] = id
		s.peers[id] = n.peer
	})
	return nil
}

// The urgencies of the specification, and how long a note lasts.
const (
	normal   = byte(1)
	critical = byte(2)

	asUsual = int32(-1)
	never   = int32(0)
)

// hints tell the service how to show a note, and for how long.
func hints(n note) (hints map[string]dbus.Variant, expires int32) {
	hints = map[string]dbus.Variant{
		"desktop-entry": dbus.MakeVariant("earshot"), "category": dbus.MakeVariant("im.received"), "urgency": dbus.MakeVariant(normal),
	}
	if n.written {
		hints["sound-name"] = dbus.MakeVariant("message-new-instant")
	}
	if n.silent || n.mute {
		hints["suppress-sound"] = dbus.MakeVariant(true)
	}
	if n.urgent {
		hints["urgency"] = dbus.MakeVariant(critical)
		return hints, never
	}
	return hints, asUsual
}

// actions are a click on the note, and a button for services that take a click
// for "go away"; for messages also what one does most, without a window. Nobody
// replies to everyone by a line below a note.
func (s *bus) actions(n note) []string {
	if n.peer == "" {
		return []string{}
	}
	open := s.p.T("NotifyOpen")
	list := []string{"default", open, actionOpen, open}
	if n.written {
		list = append(list, actionRead, s.p.T("NotifyMarkRead"))
	}
	if n.written && !strings.HasPrefix(n.peer, ",") && slices.Contains(s.capabilities(), actionReply) {
		list = append(list, actionReply, s.p.T("NotifyReply"))
	}
	return list
}

// capabilities asks the service once what it can do.
func (s *bus) capabilities() (can []string) {
	s.do(func() { can = s.can })
	if can != nil {
		return can
	}
	if err := s.conn.Object(service, object).CallWithContext(s.ctx, service+".GetCapabilities", 0).Store(&can); err != nil {
		return nil
	}
	can = append([]string{""}, can...) // it is known now
	s.do(func() { s.can = can })
	return can
}

// body escapes what a service that reads markup would swallow.
func (s *bus) body(text string) string {
	if slices.Contains(s.capabilities(), "body-markup") {
		return html.EscapeString(text)
	}
	return text
}

func (s *bus) withdraw(key string) {
	var id uint32
	s.do(func() {
		id = s.shown[key]
		delete(s.shown, key)
		delete(s.peers, id)
	})
	if id != 0 {
		// One that is gone already is what was wanted.
		_ = s.conn.Object(service, object).CallWithContext(s.ctx, service+".CloseNotification", 0, id).Err
	}
}

func (s *bus) answers() <-chan answer { return s.clicks }

func (s *bus) close() {
	s.conn.Close()
	<-s.ended
}
