package session

import (
	"slices"
	"time"

	"earshot/p2p"
)

// How a machine knows which of its connections live.

// test has a connection show that it works.
func (m *machine) test(c *connection, now time.Time) {
	if c.check.IsZero() {
		c.checked, c.check = now, now.Add(checkWithin)
		m.act(actNudge{c.id})
	}
}

// distrust tests all connections, and doesn't wait for the result if there is
// something to send.
func (m *machine) distrust(now time.Time) {
	for _, c := range m.links {
		m.test(c, now)
	}
	if m.waiting() {
		m.startDialling(now)
	}
}

// suspect says that the current connection shows no sign of life though it
// should.
func (m *machine) suspect(now time.Time) bool { return m.silent(now, ackWithin) }

// silent says that nothing has come for so long over the current connection,
// though something should.
func (m *machine) silent(now time.Time, long time.Duration) bool {
	c := m.current
	switch {
	case c == nil || now.Before(c.heard.Add(long)):
		return false
	case len(m.sent) > 0:
		return !now.Before(m.progress.Add(long))
	}
	return m.active(now)
}

// active says that two people are talking: then both look after the connection,
// since who only listens would learn late that nothing comes any more.
func (m *machine) active(now time.Time) bool {
	return m.current != nil && now.Before(m.current.used.Add(activeFor))
}

// measure takes note of what went over the connections.
func (m *machine) measure(now time.Time) {
	for _, c := range m.links {
		v := m.look(c.id)
		if v.packets > c.packets {
			c.packets, c.heard = v.packets, now
		}
		if v.used.After(c.used) {
			c.used = v.used
		}
	}
}

// tick judges the connections.
func (m *machine) tick(now time.Time) {
	if m.silent(now, ackWithin/2) && !now.Before(m.nudged.Add(ackWithin/2)) {
		m.nudged = now
		m.act(actNudge{m.current.id}) // who only stores slowly shows it by this
		if !now.Before(m.doubted.Add(doubtEvery)) {
			m.doubted = now
			m.act(actDoubt{})
		}
	}
	for _, c := range slices.Clone(m.links) {
		switch {
		case !c.check.IsZero() && c.heard.After(c.checked):
			c.check = time.Time{}
		case !c.check.IsZero() && !now.Before(c.check):
			m.drop(c, codeReplaced, now)
		case c != m.current && !c.drain.IsZero() && !now.Before(c.drain) && m.current != nil && m.current.check.IsZero():
			m.drop(c, codeReplaced, now)
		case c == m.current && len(m.sent) > 0 && !now.Before(m.pending.Add(stuckAfter)):
			m.fail(p2p.ErrUnreachable)
			m.drop(c, codeStuck, now)
		case !m.waiting() && !now.Before(c.used.Add(idleAfter)):
			m.drop(c, codeIdle, now)
		}
	}
}
