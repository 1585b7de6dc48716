package notify

import (
	"slices"
	"time"

	"earshot/tray/chat"
)

// noticeRest is how long after a sentence about somebody the same news, however
// it comes, is none.
const noticeRest = 5 * time.Second

// keyTrust is the note about people to whom nothing goes for now.
const keyTrust = "trust"

var trustTexts = map[chat.Trust]texts{
	chat.TrustChanged: {"NotifyTrustChanged", "NotifyTrustTwo", "NotifyTrustMany"},
	chat.TrustLost:    {"NotifyTrustLost", "NotifyTrustTwo", "NotifyTrustMany"},
}

// trusts follows how sure it is who people are. What it begins with is no news:
// it was told when it came to be so, be that in an earlier run.
type trusts struct {
	known   map[string]chat.Trust
	noticed map[string]time.Time // when the engine told of somebody itself
	blocked changes              // to be told of
	shown   []string             // who is in the note
}

func newTrusts() *trusts {
	return &trusts{known: make(map[string]chat.Trust), noticed: make(map[string]time.Time), blocked: changes{wait: burstWait}}
}

// person notes how a person stands. settled says that the note that is shown is
// no news any more.
func (t *trusts) person(p chat.Person, now time.Time) (settled bool) {
	before, known := t.known[p.Name]
	t.known[p.Name] = p.Trust
	switch {
	case !known || before == p.Trust:
	case p.Trust.Blocked():
		if at, noticed := t.noticed[p.Name]; !noticed || now.Sub(at) > noticeRest {
			t.blocked.add(p.Name, now)
		}
	case before.Blocked():
		t.blocked.cancel(p.Name)
		if i := slices.Index(t.shown, p.Name); i >= 0 {
			t.shown = slices.Delete(t.shown, i, i+1)
			return len(t.shown) == 0
		}
	}
	return false
}

// notice notes that the engine tells of a person.
func (t *trusts) notice(name string, now time.Time) {
	for other, at := range t.noticed {
		if now.Sub(at) > noticeRest {
			delete(t.noticed, other)
		}
	}
	t.noticed[name] = now
	t.blocked.cancel(name)
}

// note tells of those who are due, if any are.
func (q *policy) trustNote(now time.Time) (n note, ok bool) {
	t := q.trust
	names := t.blocked.take(now)
	if len(names) == 0 {
		return note{}, false
	}
	for _, name := range names {
		if !slices.Contains(t.shown, name) {
			t.shown = append(t.shown, name)
		}
	}
	n = q.people(keyTrust, trustTexts[t.known[names[0]]], names)
	return n, true
}
