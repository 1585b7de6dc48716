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
		c.checked, c.check = now, now.Add(max(checkWithin, m.bearOn(c)))
		c.urged = now
		m.act(actNudge{c.id})
	}
}

// urge has a connection that is tested answer again: a nudge, or its answer, may
// have been lost.
func (m *machine) urge(c *connection, now time.Time) {
	if !now.Before(c.urged.Add(urgeEvery)) {
		c.urged = now
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
func (m *machine) suspect(now time.Time) bool {
	return m.current != nil && !m.asked.IsZero() && !m.current.heard.After(m.asked) && !now.Before(m.asked.Add(m.bear()/2))
}

// bear is how long the peer on the current connection may be silent.
func (m *machine) bear() time.Duration { return m.bearOn(m.current) }

func (m *machine) bearOn(c *connection) time.Duration {
	return min(patience+4*m.look(c.id).rtt, mostPatience)
}

// nudgeAt says when a peer that goes on being silent is made to answer.
func (m *machine) nudgeAt() time.Time {
	c := m.current
	if len(m.sent) == 0 {
		return c.heard.Add(quietFor)
	}
	begun := c.heard
	if m.progress.After(begun) {
		begun = m.progress
	}
	return begun.Add(m.bear() / 2)
}

// listen has a peer answer that is silent though something should come, and
// tells of one that doesn't.
func (m *machine) listen(now time.Time) {
	expected := m.current != nil && (len(m.sent) > 0 || m.active(now))
	if !expected || now.Before(m.nudgeAt()) {
		m.asked = time.Time{}
		return
	}
	half := m.bear() / 2
	if m.asked.IsZero() || m.current.heard.After(m.asked) {
		m.asked, m.nudged = now, now
		m.act(actNudge{m.current.id}) // who only stores slowly shows it by this
		return
	}
	if !now.Before(m.nudged.Add(m.nudgeEvery(now))) {
		m.nudged = now
		m.act(actNudge{m.current.id})
	}
	// A doubt about an earlier connection was another one.
	if !now.Before(m.asked.Add(half/2)) && (!now.Before(m.doubted.Add(doubtEvery)) || m.doubted.Before(m.current.ready)) {
		m.doubted = now
		m.act(actDoubt{})
	}
}

// nudgeEvery is how long after a nudge the next one is: of several not all will
// be lost, nor all answers, before the peer is taken for dead; then it may take
// its time.
func (m *machine) nudgeEvery(now time.Time) time.Duration {
	if m.suspect(now) {
		return m.bear() / 2
	}
	return urgeEvery
}

// attend says when to look again at a connection that matters.
func (m *machine) attend(now time.Time) time.Time {
	at := m.nudgeAt()
	if !m.asked.IsZero() {
		half := m.bear() / 2
		at = m.nudged.Add(m.nudgeEvery(now))
		for _, t := range []time.Time{m.asked.Add(half / 2), m.asked.Add(half)} {
			if t.After(now) && t.Before(at) {
				at = t
			}
		}
	}
	// What came meanwhile has told nobody, so the time may have passed.
	return now.Add(min(max(at.Sub(now), tickEvery/10), tickEvery))
}

// active says that two people are talking: then both look after the connection,
// since who only listens would learn late that nothing comes any more.
func (m *machine) active(now time.Time) bool {
	return m.current != nil && now.Before(m.current.used.Add(activeFor))
}

// fallBack uses the best of the other connections, if there is any: the newest
// that was heard a moment ago, or the newest at all, and one through the relay
// only if no other is as good. The two devices may have come to have theirs in
// different order, and the other one has closed what this one took for the best;
// but one that was left because it was silent is no better than the relay.
func (m *machine) fallBack(now time.Time) {
	var best *connection
	for _, c := range m.links {
		fresh := now.Sub(c.heard) < freshFor
		switch {
		case best == nil, fresh && now.Sub(best.heard) >= freshFor:
			best = c
		case !fresh && now.Sub(best.heard) < freshFor:
		case best.relayed || !c.relayed:
			best = c
		}
	}
	m.use(best, now)
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
	m.listen(now)
	for _, c := range slices.Clone(m.links) {
		switch {
		case !c.check.IsZero() && c.heard.After(c.checked):
			c.check = time.Time{}
			if m.current != nil && m.current.relayed && !c.relayed { // it was given up too early
				m.current.drain = now.Add(m.drainTime())
				m.use(c, now)
			}
		case !c.check.IsZero() && !now.Before(c.check):
			m.drop(c, codeReplaced, now)
		case !c.check.IsZero():
			m.urge(c, now)
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
