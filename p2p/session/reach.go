package session

import (
	"time"

	"earshot/p2p"
)

// When a machine has connections made, and for how long.

// rounds is when all addresses are dialled, from the first time on. Earlier
// attempts go on meanwhile.
var rounds = [...]time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 6 * time.Second, 8 * time.Second}

// introduced is the other device's wish for a session.
func (m *machine) introduced(now time.Time) {
	switch {
	case m.current == nil && m.dialling && m.lower:
		m.first, m.round = now, 0 // it is there now
	case m.current == nil:
		m.wanted = now.Add(giveUp)
	case now.Sub(m.current.ready) >= freshFor:
		m.measure(now)
		m.test(m.current, now) // it has no session, so this may be none
	}
}

// want is this device's own wish for a session, the best there can be.
func (m *machine) want(now time.Time) {
	switch {
	case m.current == nil:
		m.wanted, m.own, m.led = now.Add(giveUp), true, false
	case m.current.relayed:
		m.upgrade = now
	}
}

// rejected is a connection that the other device didn't want.
func (m *machine) rejected(why code, now time.Time) {
	switch {
	case why.final():
		m.backoff.fail(now)
		m.wanted = time.Time{}
		m.stopDialling()
		if m.current == nil {
			m.fail(p2p.ErrUnreachable)
		}
	case why == codeStranger && m.dialling && !m.introduce.IsZero():
		m.introduce = now
	}
}

// dial keeps connections being made while there is a reason to.
func (m *machine) dial(now time.Time) {
	if !m.wanted.IsZero() && (m.current != nil || !now.Before(m.wanted)) {
		m.wanted = time.Time{}
	}
	if m.current == nil && m.waiting() && !now.Before(m.pending.Add(stuckAfter)) {
		m.fail(p2p.ErrUnreachable) // every connection ends before anything is taken
	}
	if m.current == nil && (m.waiting() || !m.wanted.IsZero()) || m.suspect(now) {
		m.startDialling(now)
	}
	if !m.dialling {
		return
	}
	if m.current != nil && m.current.check.IsZero() && !m.suspect(now) {
		m.stopDialling() // it lives after all
		return
	}
	if m.current == nil && !m.waiting() && m.wanted.IsZero() {
		m.stopDialling()
		return
	}
	if !now.Before(m.since.Add(giveUp)) {
		m.wanted = time.Time{}
		m.stopDialling()
		m.fail(p2p.ErrUnreachable)
		for len(m.links) > 0 {
			m.drop(m.links[0], codeReplaced, now)
		}
		return
	}
	if !m.introduce.IsZero() && !now.Before(m.introduce) {
		m.introduce = now.Add(introduceAgain)
		m.act(actIntroduce{})
	}
	if m.led && m.waiting() {
		m.led, m.first, m.round = false, now, 0
	}
	for m.round < len(rounds) && !now.Before(m.first.Add(rounds[m.round])) {
		m.round++
		if !m.led {
			m.act(actDial{})
		}
		if m.relayReady && m.lower {
			m.act(actDialRelay{})
		}
	}
}

// relay is what goes through the coordinator, or doesn't any more. The
// connections on it show by themselves that they are dead.
func (m *machine) relay(ready bool) {
	was := m.relayReady
	m.relayReady = ready
	if ready && !was && m.lower && m.dialling {
		m.act(actDialRelay{})
	}
}

// detour takes the relay while nothing else works, and looks for something
// better meanwhile.
func (m *machine) detour(now time.Time) {
	if !m.relayed {
		return
	}
	want := m.dialling && (m.blocked || !now.Before(m.since.Add(relayAfter)))
	for _, c := range m.links {
		want = want || c.relayed
	}
	if want != m.relayOpen {
		m.relayOpen = want
		m.act(actRelay{want})
		if !want {
			m.relayReady = false
		}
	}
	if m.current == nil || !m.current.relayed {
		m.upgrade = time.Time{}
		return
	}
	if m.upgrade.IsZero() {
		m.upgrade = now.Add(m.upgradeIn(now))
	}
	if !now.Before(m.upgrade) {
		m.upgrade = now.Add(m.upgradeIn(now))
		m.act(actIntroduce{})
	}
}

// upgradeIn is how long it takes until the relay is to be left again: soon at
// first, since who has come to it because the network has changed may not have
// been introduced by its new addresses yet, and then ever more seldom.
func (m *machine) upgradeIn(now time.Time) time.Duration {
	if m.blocked {
		return upgradeEvery
	}
	return min(max(introduceAgain, now.Sub(m.current.ready)), upgradeEvery)
}

// startDialling begins to make a connection, unless the device is left alone:
// the lower ID at once.
func (m *machine) startDialling(now time.Time) {
	if m.dialling || m.backoff.resting(now) {
		return
	}
	m.dialling, m.since, m.round = true, now, 0
	m.first, m.introduce = now, now.Add(introduceAfter)
	if !m.lower {
		m.first, m.introduce = now.Add(secondDialler), now
	}
	if !m.wanted.IsZero() && !m.waiting() && !m.own { // it was the other one who asked
		m.introduce = time.Time{}
	}
	m.own = false
}

func (m *machine) stopDialling() {
	if m.dialling {
		m.dialling = false
		m.act(actStopDial{})
	}
}
