package notify

import (
	"slices"
	"time"

	"earshot/tray/chat"
	"earshot/tray/settings"
)

// adopt takes other settings.
func (q *policy) adopt(set *settings.Values, now time.Time) {
	q.set = set
	q.turn(now)
}

// turn notes whether it is quiet now.
func (q *policy) turn(now time.Time) {
	quiet, turns := q.set.Quiet(now)
	quiet = quiet || q.busy
	q.turns = turns
	if quiet == q.quiet {
		return
	}
	q.quiet = quiet
	if quiet {
		q.came.clear()
		q.left.clear()
		q.ended = time.Time{}
	} else {
		q.ended = now
	}
}

// may says whether something may be told of a conversation now.
func (q *policy) may(t *talk) bool { return !q.quiet || t.urgent && q.set.QuietUrgent }

// wantsMessage says whether messages from a person are told.
func (q *policy) wantsMessage(sender string) bool {
	switch q.set.People.Of(sender).Message {
	case settings.Always:
		return true
	case settings.Never:
		return false
	}
	return q.set.NotifyMessage
}

// wanted returns those whose coming, or going, is told. Whoever is told of once
// is told of in another way.
func (q *policy) wanted(names []string, coming bool) []string {
	return slices.DeleteFunc(names, func(name string) bool {
		person := q.set.People.Of(name)
		override, all := person.Logout, q.set.NotifyLogout
		if coming {
			override, all = person.Login, q.set.NotifyLogin
		}
		return override != settings.Always && (override != settings.AsUsual || !all)
	})
}

// expected are people of whose next coming the person wants to be told, once.
// Somebody whose network blinks has not come; somebody who is there when the
// client starts has.
type expected struct {
	online map[string]bool
	gone   map[string]time.Time // when somebody left, until that is no blink
	came   changes
}

func newExpected() expected {
	return expected{online: make(map[string]bool), gone: make(map[string]time.Time), came: changes{wait: burstWait}}
}

// person notes whether a person is online; wanted says that the next coming is
// to be told.
func (x *expected) person(p chat.Person, wanted bool, now time.Time) {
	online := p.Online
	if was, known := x.online[p.Name]; online == was && known {
		return
	}
	x.online[p.Name] = online
	if !online {
		x.gone[p.Name] = now
		x.came.cancel(p.Name)
		return
	}
	left, blinked := x.gone[p.Name]
	delete(x.gone, p.Name)
	if wanted && (!blinked || now.Sub(left) >= flapWait) {
		x.came.add(p.Name, now)
	}
}

// expectedNotes tells of those who have come.
func (q *policy) expectedNotes(now time.Time) (notes []note) {
	for _, name := range q.expect.came.take(now) {
		if q.set.People.Of(name).Login != settings.Once {
			continue // the person has changed its mind
		}
		q.came.cancel(name) // this tells it
		notes = append(notes, note{
			key: "expected:" + name, title: appName, body: clean(q.p.T("NotifyExpected", "Name", name), maxPreview),
			peer: name, expected: name,
		})
	}
	return notes
}
