package notify

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rivo/uniseg"

	"earshot/tray/chat"
	"earshot/tray/i18n"
)

const (
	// messageWait is how long a message waits for the popup to say that the
	// person is looking at it.
	messageWait = 300 * time.Millisecond
	// burstWait is how long arrivals are collected, so that the whole office
	// at nine o'clock is one notification.
	burstWait = time.Second
	// flapWait is how long somebody must be gone for it to be told: a laptop
	// whose network blinks, or a coordinator that restarts, is no news.
	flapWait = 10 * time.Second
	// named is how many people a notification names.
	named = 2
	// maxPreview is how much of a message is shown, in characters.
	maxPreview = 200
)

// note is one notification. A later one with the same key takes its place.
type note struct {
	key   string
	title string
	body  string
	// peer is whose popup a click opens; empty opens none.
	peer string
}

// The keys of notifications that are not about one conversation.
const (
	keyCame = "came"
	keyLeft = "left"
)

// texts are the messages that tell of one, two and more people.
type texts struct{ one, two, many string }

var (
	cameTexts = texts{"NotifyCameOne", "NotifyCameTwo", "NotifyCameMany"}
	leftTexts = texts{"NotifyLeftOne", "NotifyLeftTwo", "NotifyLeftMany"}
)

func keyOf(peer string) string { return "message:" + peer }

// policy decides what is told: (event, now) in, notes out. It does no I/O and
// reads no clock.
type policy struct {
	p *i18n.Printer

	messages map[string]*pendingMessage // by peer, not told yet
	shown    map[string]bool            // peers whose message is on the screen
	unread   map[string]int             // by peer
	came     changes
	left     changes
}

type pendingMessage struct {
	message chat.Message
	due     time.Time
}

func newPolicy(p *i18n.Printer) *policy {
	return &policy{
		p: p, messages: make(map[string]*pendingMessage), shown: make(map[string]bool), unread: make(map[string]int),
		came: changes{wait: burstWait}, left: changes{wait: flapWait},
	}
}

// event takes an event. withdraw are keys of notes that are no news any more.
func (q *policy) event(e chat.Event, now time.Time) (withdraw []string) {
	switch e.Type {
	case chat.EventMessage:
		if e.Message.State == chat.Received && e.Message.Unread {
			q.unread[e.Message.Peer]++
			q.messages[e.Message.Peer] = &pendingMessage{*e.Message, now.Add(messageWait)}
		}
	case chat.EventLogin:
		if !q.left.cancel(e.Person.Name) {
			q.came.add(e.Person.Name, now)
		}
	case chat.EventLogout:
		if !q.came.cancel(e.Person.Name) {
			q.left.add(e.Person.Name, now)
		}
	case chat.EventPerson:
		if e.Person.Unread == 0 {
			return q.read(e.Person.Name)
		}
	case chat.EventStatus, chat.EventSnapshot:
		if e.Status != nil && e.Status.Unread == 0 {
			var keys []string
			for peer := range q.unread {
				keys = append(keys, q.read(peer)...)
			}
			return keys
		}
	}
	return nil
}

// read notes that the person has seen all messages from peer.
func (q *policy) read(peer string) []string {
	delete(q.messages, peer)
	delete(q.unread, peer)
	if !q.shown[peer] {
		return nil
	}
	delete(q.shown, peer)
	return []string{keyOf(peer)}
}

// next is when due has something to tell; zero if nothing waits.
func (q *policy) next() time.Time {
	next := earlier(q.came.due(), q.left.due())
	for _, m := range q.messages {
		next = earlier(next, m.due)
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due returns what is to be told by now.
func (q *policy) due(now time.Time) (notes []note) {
	for peer, m := range q.messages {
		if !now.Before(m.due) {
			notes = append(notes, q.message(m.message))
			q.shown[peer] = true
			delete(q.messages, peer)
		}
	}
	slices.SortFunc(notes, func(a, b note) int { return strings.Compare(a.key, b.key) })
	if names := q.came.take(now); len(names) > 0 {
		notes = append(notes, q.people(keyCame, cameTexts, names))
	}
	if names := q.left.take(now); len(names) > 0 {
		notes = append(notes, q.people(keyLeft, leftTexts, names))
	}
	return notes
}

func (q *policy) message(m chat.Message) note {
	title := m.Sender
	switch n := q.unread[m.Peer]; {
	case m.Peer == chat.Everyone:
		title = q.p.T("NotifyToEveryone", "Name", m.Sender)
	case n > 1:
		title = q.p.T("NotifyMessages", "Name", m.Sender, "Count", n)
	}
	return note{key: keyOf(m.Peer), title: clean(title, maxPreview), body: clean(m.Text, maxPreview), peer: m.Peer}
}

// people tells of one, of two, or of two and how many others.
func (q *policy) people(key string, say texts, names []string) note {
	n := note{key: key, title: "Earshot"}
	switch others := len(names) - named; {
	case len(names) == 1:
		n.body = q.p.T(say.one, "Name", names[0])
		n.peer = names[0]
	case others == 0:
		n.body = q.p.T(say.two, "First", names[0], "Second", names[1])
	default:
		n.body = q.p.T(say.many, "First", names[0], "Second", names[1], "Count", others)
	}
	n.body = clean(n.body, maxPreview)
	return n
}

// clean cuts text to a number of characters as a reader counts them, and takes
// control characters out of it.
func clean(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, text)
	var out strings.Builder
	state := -1
	for n := 0; text != ""; n++ {
		if n == most {
			return out.String() + "…"
		}
		var cluster string
		cluster, text, _, state = uniseg.FirstGraphemeClusterInString(text, state)
		out.WriteString(cluster)
	}
	return out.String()
}

// changes collects people for one notification, in the order of their coming
// or going. Everyone has waited for wait when it is told, or came in while the
// first one waited for the burst to end.
type changes struct {
	wait    time.Duration
	waiting []change
}

type change struct {
	name string
	due  time.Time
}

func (c *changes) add(name string, now time.Time) {
	c.cancel(name)
	c.waiting = append(c.waiting, change{name, now.Add(c.wait)})
}

// cancel takes a person out, and says whether that was in.
func (c *changes) cancel(name string) bool {
	i := slices.IndexFunc(c.waiting, func(w change) bool { return w.name == name })
	if i < 0 {
		return false
	}
	c.waiting = slices.Delete(c.waiting, i, i+1)
	return true
}

func (c *changes) due() time.Time {
	if len(c.waiting) == 0 {
		return time.Time{}
	}
	return c.waiting[0].due
}

// take returns who is due, and who will be within the time of a burst.
func (c *changes) take(now time.Time) (names []string) {
	if len(c.waiting) == 0 || now.Before(c.waiting[0].due) {
		return nil
	}
	for len(c.waiting) > 0 && !now.Add(burstWait).Before(c.waiting[0].due) {
		names = append(names, c.waiting[0].name)
		c.waiting = c.waiting[1:]
	}
	return names
}
