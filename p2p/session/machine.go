package session

import (
	"slices"
	"time"

	"earshot/p2p"
)

const (
	// windowItems and windowBytes bound what is under way to one device.
	windowItems = 64
	windowBytes = 1 << 20
	// giveUp is how long a session is tried for before what waits is failed.
	giveUp = 10 * time.Second
	// secondDialler is how long the device with the higher ID waits for the
	// other one to dial, and when the other one has itself introduced.
	secondDialler = 300 * time.Millisecond
	// introduceAfter is how long a connection may take that is simply dialled
	// before the coordinator is asked for help, which it is again each
	// introduceAgain.
	introduceAfter = 30 * time.Millisecond
	introduceAgain = 3 * time.Second
	// relayAfter is how long nothing else works before the relay is taken, and
	// upgradeEvery how often something better is looked for from then on.
	relayAfter   = 500 * time.Millisecond
	upgradeEvery = time.Minute
	// patience and four round trips, mostPatience at most, is how long a peer
	// that acknowledges nothing may show no other sign of life before a second
	// connection is made. Half of it is for what comes by itself, half for an
	// answer to a nudge.
	patience     = 800 * time.Millisecond
	mostPatience = 2500 * time.Millisecond
	// activeFor is how long after an item the connection is looked after
	// though nothing is under way: then a silence of quietFor is one too many.
	// doubtEvery is how often a silence is told of.
	activeFor  = 15 * time.Second
	quietFor   = time.Second
	doubtEvery = 10 * time.Second
	// stuckAfter is when a peer that lives but acknowledges nothing is as good
	// as out of reach.
	stuckAfter = 30 * time.Second
	// idleAfter is when a connection is closed over which nothing goes.
	idleAfter = 45 * time.Second
	// checkWithin is how long a connection has at least to show that it still
	// works.
	checkWithin = 1500 * time.Millisecond
	// fresh connections are those that two devices may make at one time.
	freshFor = 2 * time.Second
	// drainFor is how long a connection stays that another one has replaced,
	// at the device with the lower ID, and drainLong at the other.
	drainFor  = time.Second
	drainLong = 10 * time.Second
	// maxLinks bounds the connections of one device.
	maxLinks = 4
	// urgeEvery is between the nudges of a peer that doesn't answer.
	urgeEvery = 200 * time.Millisecond
	// tickEvery is how often connections that matter are looked at.
	tickEvery = 500 * time.Millisecond
)

// outgoing is an item on its way.
type outgoing struct {
	id    [idSize]byte
	frame []byte
	done  func(error)
}

// linkID tells the connections of one device apart.
type linkID uint64

// connection is what the machine knows of one that is ready for items.
type connection struct {
	id      linkID
	dialled bool // by this device
	relayed bool
	ready   time.Time
	// packets counts what arrived, and heard is when that last grew. used is
	// when an item last went over the connection.
	packets     uint64
	heard, used time.Time
	// tried says that an item has left on it, and taken that one was
	// acknowledged.
	tried, taken bool
	// drain is when a replaced connection is closed; zero for one in use.
	drain time.Time
	// check is when it must have been heard since checked; zero for no check.
	// urged is when it was last made to answer for that.
	check, checked, urged time.Time
}

// vital is what is measured of a connection.
type vital struct {
	packets uint64
	used    time.Time
	rtt     time.Duration // zero while unknown
}

// machine decides everything about the session with one other device: (event,
// now) in, (actions, next wake) out. It does no I/O and reads no clock.
type machine struct {
	lower bool // this device's ID is the lower one

	queue []*outgoing // not sent on the current connection
	sent  []*outgoing // sent on it, and not acknowledged
	bytes int         // of sent
	// progress is when something was last acknowledged, or began to be waited
	// for, on the current connection; pending is the same on whichever.
	progress, pending time.Time
	asked             time.Time // when a silent peer was first made to answer; zero for one that isn't silent
	nudged            time.Time // when it was last
	doubted           time.Time // when that was last told

	links   []*connection // those that are ready, oldest first
	current *connection   // the one on which items leave

	dialling  bool
	since     time.Time // when dialling began
	round     int       // the next one
	first     time.Time // when the first round is
	introduce time.Time // when to ask for an introduction; zero for never again
	wanted    time.Time // until when a session is wanted though nothing waits
	own       bool      // by this device, not by the other one
	led       bool      // by the other one only, with which a path is searched for: none is tried blindly
	backoff   backoff

	relayed    bool      // there is a relay
	blocked    bool      // nothing but the relay can work
	relayOpen  bool      // this device has asked for packets through it
	relayReady bool      // the other one, too
	upgrade    time.Time // when to look for a better path than the relay

	look    func(linkID) vital
	actions []any
}

// What happens to a machine.
type (
	evSend    struct{ item *outgoing }
	evUnknown struct{} // nobody knows the device, or where it is
	evReady   struct {
		id      linkID
		dialled bool // by this device
		relayed bool
	}
	// evRelay says whether packets go through the relay.
	evRelay struct{ ready bool }
	// evBlocked says whether one of the two can't be reached by UDP at all.
	evBlocked struct{ blocked bool }
	evDown    struct {
		id  linkID
		why code
	}
	evAck struct {
		id      [idSize]byte
		refused error // nil if it is stored
	}
	// evIntroduced says that the other device asks for a session.
	evIntroduced struct {
		blocked bool
		probed  bool // a path is searched for, and told of when it is found
	}
	// evRejected is what the other device said to a connection before it was
	// ready.
	evRejected struct{ why code }
	// evOnline says that the coordinator can be asked again, or told more.
	evOnline struct{}
	// evWanted asks for a session though there is nothing to send.
	evWanted struct{}
	evForget struct{}
	evWake   struct{}
	evTyping struct{ active bool }
	evTick   struct{}
	evEnd    struct{}
)

// What a machine wants done.
type (
	actDial      struct{} // all addresses
	actStopDial  struct{}
	actDialRelay struct{}
	actRelay     struct{ open bool }
	actIntroduce struct{}
	actWrite     struct {
		id   linkID
		item *outgoing
	}
	actTyping struct {
		id     linkID
		active bool
	}
	// actNudge has the other side answer with a packet.
	actNudge struct{ id linkID }
	// actDoubt says that it may be this device's network that is at fault.
	actDoubt struct{}
	actClose struct {
		id   linkID
		code code
	}
	actDone struct {
		item *outgoing
		err  error
	}
	// actPath says that another connection is the current one, or none.
	actPath struct{ id linkID }
)

func (m *machine) act(a any) { m.actions = append(m.actions, a) }

// step takes an event and returns what to do about it, in order. The result is
// good until the next call.
func (m *machine) step(ev any, now time.Time) (actions []any) {
	m.actions = m.actions[:0]
	switch ev := ev.(type) {
	case evSend:
		if !m.waiting() {
			m.pending = now
		}
		m.queue = append(m.queue, ev.item)
	case evUnknown:
		m.fail(p2p.ErrNotConnected)
		m.wanted = time.Time{}
	case evReady:
		m.measure(now)
		m.add(&connection{id: ev.id, dialled: ev.dialled, relayed: ev.relayed}, now)
	case evRelay:
		m.relay(ev.ready)
	case evBlocked:
		m.blocked = ev.blocked
	case evDown:
		m.down(ev.id, ev.why, now)
	case evAck:
		m.acknowledge(ev, now)
	case evIntroduced:
		m.blocked = ev.blocked
		m.led = ev.probed && (m.led || !m.dialling)
		m.introduced(now)
	case evOnline:
		if m.dialling && !m.introduce.IsZero() {
			m.introduce = now
		}
		if m.current != nil && m.current.relayed {
			m.upgrade = now
		}
	case evWanted:
		m.want(now)
	case evRejected:
		m.rejected(ev.why, now)
	case evForget:
		m.forget(codeStranger)
	case evEnd:
		m.forget(codeShutdown)
	case evWake:
		m.measure(now)
		m.distrust(now)
	case evTyping:
		if m.current != nil {
			m.act(actTyping{m.current.id, ev.active})
		}
	case evTick:
		m.measure(now)
		m.tick(now)
	}
	m.pump(now)
	m.dial(now)
	m.detour(now)
	return m.actions
}

// idle says that there is nothing to do.
func (m *machine) idle() bool {
	return len(m.links) == 0 && !m.waiting() && !m.dialling && m.wanted.IsZero()
}

func (m *machine) waiting() bool { return len(m.queue)+len(m.sent) > 0 }

// pump sends what the window has room for.
func (m *machine) pump(now time.Time) {
	if m.backoff.resting(now) {
		return
	}
	for m.current != nil && len(m.queue) > 0 && len(m.sent) < windowItems {
		item := m.queue[0]
		if len(m.sent) > 0 && m.bytes+len(item.frame) > windowBytes {
			break
		}
		if len(m.sent) == 0 {
			m.progress = now
		}
		m.queue[0] = nil
		m.queue = m.queue[1:]
		m.sent = append(m.sent, item)
		m.bytes += len(item.frame)
		m.current.used, m.current.tried = now, true
		m.act(actWrite{m.current.id, item})
	}
}

func (m *machine) acknowledge(ev evAck, now time.Time) {
	for i, item := range m.sent {
		if item.id != ev.id {
			continue
		}
		m.sent = slices.Delete(m.sent, i, i+1)
		m.bytes -= len(item.frame)
		m.progress, m.pending = now, now
		m.backoff.reset()
		if m.current != nil {
			m.current.used, m.current.taken = now, true
		}
		m.act(actDone{item, ev.refused})
		return
	}
}

// fail gives all items back, in order.
func (m *machine) fail(err error) {
	m.requeue()
	for _, item := range m.queue {
		m.act(actDone{item, err})
	}
	m.queue = nil
}

// requeue takes back what is under way, to be sent again in order.
func (m *machine) requeue() {
	m.queue = slices.Concat(m.sent, m.queue)
	m.sent, m.bytes = nil, 0
}

// use has items leave on another connection, or on none.
func (m *machine) use(c *connection, now time.Time) {
	m.requeue()
	m.current = c
	if c == nil {
		m.act(actPath{})
		return
	}
	c.drain, m.progress = time.Time{}, now
	m.act(actPath{c.id})
}

// add takes a new connection. Of two that both devices made at one time the
// one stays that the lower ID dialled; otherwise the newer one does, because
// whoever made it had no trust in the older. Only the lower ID closes what is
// too much, so that they never close both.
func (m *machine) add(c *connection, now time.Time) {
	c.ready, c.heard, c.used = now, now, now
	c.packets = m.look(c.id).packets
	m.links = append(m.links, c)
	if len(m.links) > maxLinks {
		for _, old := range m.links {
			if old != m.current {
				m.close(old, codeReplaced)
				break
			}
		}
	}
	m.wanted = time.Time{}
	m.stopDialling()
	if m.current == nil {
		m.use(c, now)
		return
	}
	loser := m.current
	if c.relayed != loser.relayed {
		if c.relayed && !m.suspect(now) {
			loser = c
			m.test(m.current, now)
		} else {
			m.use(c, now)
			if c.relayed {
				m.test(loser, now) // it may only have lost much
			}
		}
	} else if !m.suspect(now) && now.Sub(loser.ready) < freshFor && loser.dialled == m.lower && c.dialled != m.lower {
		loser = c
		// The other device may have forgotten the first one all the same.
		m.test(m.current, now)
	} else {
		m.use(c, now)
	}
	loser.drain = now.Add(m.drainTime())
}

// drainTime is how long a connection stays that another one has replaced.
func (m *machine) drainTime() time.Duration {
	if m.lower {
		return drainFor
	}
	return drainLong
}

// close ends a connection.
func (m *machine) close(c *connection, why code) {
	m.links = slices.DeleteFunc(m.links, func(o *connection) bool { return o == c })
	m.act(actClose{c.id, why})
}

// down is a connection that has ended.
func (m *machine) down(id linkID, why code, now time.Time) {
	for i, c := range m.links {
		if c.id != id {
			continue
		}
		m.links = slices.Delete(m.links, i, i+1)
		if why.final() || c.tried && !c.taken {
			m.backoff.fail(now)
		}
		if c == m.current {
			m.measure(now)
			m.fallBack(now)
		}
		if why.final() {
			m.fail(p2p.ErrUnreachable)
		}
		return
	}
}

// drop ends a connection that doesn't work, or is used no more.
func (m *machine) drop(c *connection, why code, now time.Time) {
	m.close(c, why)
	if c == m.current {
		m.fallBack(now)
	}
}

func (m *machine) forget(why code) {
	for len(m.links) > 0 {
		m.close(m.links[0], why)
	}
	if m.current != nil {
		m.current = nil
		m.act(actPath{})
	}
	m.fail(p2p.ErrNotConnected)
	m.wanted = time.Time{}
	m.stopDialling()
}

// wake is when the next evTick is due; zero is never.
func (m *machine) wake(now time.Time) (at time.Time) {
	earliest := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if m.current != nil && m.current.relayed {
		earliest(m.upgrade)
	}
	if m.dialling {
		if m.relayed && !m.relayOpen {
			earliest(m.since.Add(relayAfter))
		}
		earliest(m.since.Add(giveUp))
		earliest(m.introduce)
		if m.round < len(rounds) {
			earliest(m.first.Add(rounds[m.round]))
		}
	}
	earliest(m.wanted)
	if m.backoff.resting(now) && (m.waiting() || !m.wanted.IsZero()) {
		earliest(m.backoff.until)
	}
	if m.current != nil && (len(m.sent) > 0 || m.active(now)) {
		earliest(m.attend(now))
	}
	for _, c := range m.links {
		switch {
		case !c.check.IsZero():
			earliest(now.Add(urgeEvery))
		case !c.drain.IsZero():
			earliest(now.Add(tickEvery))
		default:
			// Without traffic nobody looks before the connection is idle.
			if at := c.used.Add(idleAfter); at.After(now) {
				earliest(at)
			} else {
				earliest(now.Add(tickEvery))
			}
		}
	}
	return at
}
