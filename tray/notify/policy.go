package notify

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rivo/uniseg"

	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/settings"
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
	// noticeAgain is how long the same sentence is not told once more.
	noticeAgain = time.Minute
	// named is how many people a notification names.
	named = 2
	// maxPreview is how much of a message is shown, and maxNotice of a sentence
	// by Earshot, in characters.
	maxPreview = 200
	maxNotice  = 600
	// maxNotices is how many sentences wait for the end of the quiet.
	maxNotices = 50
)

// note is one notification. A later one with the same key takes its place.
type note struct {
	key   string
	title string
	body  string
	// peer is whose popup a click opens; empty opens none.
	peer string
	// urgent stays until the person does something about it.
	urgent bool
	// silent only changes what is on the screen: it shows nothing anew.
	silent bool
	// mute makes no sound, and written makes that of a message.
	mute, written bool
	// expected is the person whose coming this tells of because that was asked
	// for, once.
	expected string
}

// The keys of notifications that are not about one conversation.
const (
	keyCame      = "came"
	keyLeft      = "left"
	keyMeanwhile = "meanwhile"
)

// policy decides what is told: (event, now) in, notes out. It does no I/O and
// reads no clock.
//
// While the person is busy or wants quiet only urgent messages are told. What
// else comes is summed up afterwards, but for people who came and went: that is
// no news then.
type policy struct {
	p *i18n.Printer

	set     *settings.Values
	self    string           // the person's own name
	busy    bool             // says so
	quiet   bool             // is busy, or wants quiet
	turns   time.Time        // when quiet may begin or end; zero if never
	ended   time.Time        // when quiet ended, until that is told
	talks   map[string]*talk // by key
	summary map[string]bool  // peers in the note of what came meanwhile, not read
	came    changes
	left    changes
	expect  expected
	trust   *trusts
	notices []notice             // not told yet
	noticed map[string]time.Time // when a sentence was last told, by key
	changed map[string]time.Time // when the last message of a shown talk was, by key
}

type notice struct {
	note
	at time.Time
}

func newPolicy(p *i18n.Printer) *policy {
	return &policy{
		p: p, set: new(settings.Defaults()), expect: newExpected(), talks: make(map[string]*talk), trust: newTrusts(),
		noticed: make(map[string]time.Time), changed: make(map[string]time.Time),
		came: changes{wait: burstWait}, left: changes{wait: flapWait},
	}
}

// event takes an event. withdraw are keys of notes that are no news any more.
func (q *policy) event(e chat.Event, now time.Time) (withdraw []string) {
	q.turn(now)
	if e.Person != nil {
		withdraw = q.person(*e.Person, now)
	}
	for _, person := range e.Roster {
		withdraw = append(withdraw, q.person(person, now)...)
	}
	switch e.Type {
	case chat.EventMessage:
		if e.Message.State == chat.Received && e.Message.Unread && q.wantsMessage(e.Message.Sender) {
			q.arrived(e.Message, now)
		}
	case chat.EventState:
		if e.Message.State == chat.Received {
			withdraw = append(withdraw, q.amended(e.Message, now)...)
		}
	case chat.EventLogin:
		if !q.quiet && !q.left.cancel(e.Person.Name) {
			q.came.add(e.Person.Name, now)
		}
	case chat.EventLogout:
		if !q.quiet && !q.came.cancel(e.Person.Name) {
			q.left.add(e.Person.Name, now)
		}
	case chat.EventPerson:
		if e.Person.Unread == 0 {
			withdraw = append(withdraw, q.read(e.Person.Name)...)
		}
	case chat.EventNotice:
		q.notice(e, now)
	case chat.EventStatus, chat.EventSnapshot:
		if e.Status != nil {
			withdraw = append(withdraw, q.status(e.Status, now)...)
		}
	}
	return withdraw
}

// status notes whether the person is busy, and has read everything.
func (q *policy) status(s *chat.Status, now time.Time) (withdraw []string) {
	q.busy, q.self = s.Own.Presence == chat.Busy, s.Name
	q.turn(now)
	if s.Unread == 0 {
		for _, t := range q.inOrder() {
			withdraw = append(withdraw, q.read(t.peer)...)
		}
	}
	return withdraw
}

func (q *policy) person(p chat.Person, now time.Time) (withdraw []string) {
	q.expect.person(p, q.set.People.Of(p.Name).Login == settings.Once, now)
	if q.trust.person(p, now) {
		return []string{keyTrust}
	}
	return nil
}

// arrived takes a new message.
func (q *policy) arrived(m *chat.Message, now time.Time) {
	fresh := &talk{peer: m.Peer, urgent: m.Urgent}
	t := q.talks[fresh.key()]
	if t == nil {
		t = fresh
		q.talks[t.key()] = t
	}
	t.add(m)
	t.due = now.Add(messageWait)
}

// amended takes what has become of a message.
func (q *policy) amended(m *chat.Message, now time.Time) (withdraw []string) {
	for _, t := range q.of(m.Peer) {
		other := t.change(m)
		switch {
		case len(t.recent) == 0:
			withdraw = append(withdraw, q.forget(t)...)
		case other && t.shown && t.newest() < 0:
			// What is left of it came in the quiet.
			t.shown = false
			delete(q.changed, t.key())
			withdraw = append(withdraw, t.key())
		case other && t.shown:
			q.changed[t.key()] = now
		}
	}
	return withdraw
}

// of returns the conversations with peer, of which something is unread.
func (q *policy) of(peer string) (all []*talk) {
	for _, urgent := range []bool{false, true} {
		if t := q.talks[(&talk{peer: peer, urgent: urgent}).key()]; t != nil {
			all = append(all, t)
		}
	}
	return all
}

// read notes that the person has seen all messages from peer.
func (q *policy) read(peer string) (withdraw []string) {
	for _, t := range q.of(peer) {
		withdraw = append(withdraw, q.forget(t)...)
	}
	return withdraw
}

// forget ends a conversation of which nothing is unread any more.
func (q *policy) forget(t *talk) (withdraw []string) {
	delete(q.talks, t.key())
	delete(q.changed, t.key())
	if t.shown {
		withdraw = []string{t.key()}
	}
	if !t.urgent && q.summary[t.peer] {
		if delete(q.summary, t.peer); len(q.summary) == 0 {
			withdraw = append(withdraw, keyMeanwhile)
		}
	}
	return withdraw
}

// notice takes a sentence.
func (q *policy) notice(e chat.Event, now time.Time) {
	for key, at := range q.noticed {
		if now.Sub(at) >= noticeAgain {
			delete(q.noticed, key)
		}
	}
	if e.Peer != "" {
		q.trust.notice(e.Peer, now)
		if !q.set.NotifyKeyChange && e.Peer != q.self {
			return // notices about others are about their devices
		}
	}
	n := note{key: "notice:" + e.Peer + ":" + e.Notice, title: appName, body: clean(e.Notice, maxNotice), peer: e.Peer}
	if _, told := q.noticed[n.key]; told {
		return
	}
	q.noticed[n.key] = now
	if len(q.notices) == maxNotices {
		q.notices = slices.Delete(q.notices, 0, 1)
	}
	q.notices = append(q.notices, notice{n, now})
}

// next is when due has something to tell; zero if nothing waits.
func (q *policy) next() (next time.Time) {
	if !q.ended.IsZero() {
		return q.ended // whatever waited is told then
	}
	next = q.turns
	for _, at := range q.changed {
		next = earlier(next, at)
	}
	for _, t := range q.talks {
		if q.may(t) {
			next = earlier(next, t.due)
		}
	}
	if q.quiet {
		return next
	}
	for _, n := range q.notices {
		next = earlier(next, n.at)
	}
	for _, at := range []time.Time{q.came.due(), q.left.due(), q.expect.came.due(), q.trust.blocked.due()} {
		next = earlier(next, at)
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
	defer func() {
		for i := range notes {
			notes[i].mute = notes[i].mute || !q.set.Sounds
		}
	}()
	q.turn(now)
	if !q.ended.IsZero() {
		q.ended = time.Time{}
		if n, ok := q.meanwhile(); ok {
			notes = append(notes, n)
		}
	}
	for _, t := range q.inOrder() {
		switch key := t.key(); {
		case !t.due.IsZero() && !now.Before(t.due) && q.may(t):
			notes = append(notes, q.message(t, t.recent[len(t.recent)-1], t.unread))
			t.tell()
			t.shown = true
			delete(q.changed, key)
		case !q.changed[key].IsZero():
			n := q.message(t, t.recent[t.newest()], t.unread-t.untold)
			n.silent = true
			notes = append(notes, n)
			delete(q.changed, key)
		}
	}
	if q.quiet {
		return notes
	}
	notes = append(notes, q.expectedNotes(now)...)
	if names := q.wanted(q.came.take(now), true); len(names) > 0 {
		notes = append(notes, q.people(keyCame, cameTexts, names))
	}
	if names := q.wanted(q.left.take(now), false); len(names) > 0 {
		notes = append(notes, q.people(keyLeft, leftTexts, names))
	}
	if n, ok := q.trustNote(now); ok && q.set.NotifyKeyChange {
		notes = append(notes, n)
	}
	for _, n := range q.notices {
		notes = append(notes, n.note)
	}
	q.notices = nil
	return notes
}

// inOrder returns the conversations, always in the same order.
func (q *policy) inOrder() []*talk {
	all := make([]*talk, 0, len(q.talks))
	for _, key := range slices.Sorted(maps.Keys(q.talks)) {
		all = append(all, q.talks[key])
	}
	return all
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
