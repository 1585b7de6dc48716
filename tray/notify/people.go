package notify

import (
	"slices"
	"time"
)

// texts are the messages that tell of one, two and more people.
type texts struct{ one, two, many string }

var (
	cameTexts = texts{"NotifyCameOne", "NotifyCameTwo", "NotifyCameMany"}
	leftTexts = texts{"NotifyLeftOne", "NotifyLeftTwo", "NotifyLeftMany"}
)

// people tells of one, of two, or of two and how many others.
func (q *policy) people(key string, say texts, names []string) note {
	n := note{key: key, title: appName}
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

// clear forgets everybody.
func (c *changes) clear() { c.waiting = nil }

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
