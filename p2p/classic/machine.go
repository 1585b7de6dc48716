package classic

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"earshot/p2p"
	"earshot/protocol/classic"
)

const (
	// firstRepeat is when a login that meets silence is repeated; the wait
	// doubles with each of the repeats.
	firstRepeat = 200 * time.Millisecond
	repeats     = 5
	// giveUp is how long the last repeat is waited for.
	giveUp = time.Second
	// aliveLimit is how long a coordinator that probes its clients may be
	// silent before it is asked.
	aliveLimit = 7 * time.Second
	// pingEvery is how often a coordinator that never probes is sent a
	// datagram that it ignores; if nothing listens there any more, that shows.
	pingEvery = 20 * time.Second
	// Retries are jittered: a wait is between half of its length and all of it.
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// refusedRetry is when a refused login is tried again: the name may have
	// become free.
	refusedRetry = 10 * time.Second
)

// state is where a login stands.
type state uint8

const (
	waiting   state = iota // for the next attempt
	opening                // sockets are being opened
	loggingIn              // login is sent and repeated
	fetching               // Accept came, the list is on its way
	online                 // the list is here
)

// machine is the client's side of a login: (event, now) in, (actions, next
// wake) out. It does no I/O and reads no clock.
type machine struct {
	name string
	rand *rand.Rand

	state   state
	self    netip.AddrPort // where this client listens
	server  netip.AddrPort
	sent    int       // logins of this attempt
	next    time.Time // when to act if nothing happens
	backoff time.Duration

	// connected says that Connected was reported and Disconnected was not. It
	// stays set while a login is repeated to see whether the coordinator lives.
	connected bool
	ours      bool // the coordinator has sent alive
	roster    roster
	early     []classic.Message // deltas that came before the list
}

// What happens to a machine.
type (
	evWake   struct{}
	evOpened struct{ self, server netip.AddrPort }
	// evFailed is sockets that could not be opened, or a list that could not
	// be read.
	evFailed struct{ err error }
	evList   struct{ entries []classic.Entry }
	// evMessage is a datagram from the coordinator.
	evMessage struct {
		m    classic.Message
		from netip.AddrPort
	}
	// evUnreachable says that nothing listens at the coordinator's address.
	evUnreachable struct{}
	// evLinkLost is a list connection that was held and broke.
	evLinkLost struct{}
)

// What a machine wants done.
type (
	doOpen struct{}
	doSend struct{ m classic.Message }
	// doFetch reads the list from a TCP port of the coordinator.
	doFetch  struct{ from netip.AddrPort }
	doReport struct{ event p2p.Event }
)

func newMachine(name string, r *rand.Rand) *machine {
	return &machine{name: name, rand: r, backoff: firstBackoff, roster: newRoster(name)}
}

// step advances the machine. The next step is due at wake, or earlier if
// something happens.
func (m *machine) step(event any, now time.Time) (actions []any, wake time.Time) {
	switch e := event.(type) {
	case evWake:
		if !now.Before(m.next) {
			actions = m.timeout(now)
		}
	case evOpened:
		if m.state == opening {
			m.self, m.server = e.self, e.server
			actions = m.login(now)
		}
	case evFailed:
		if m.state == opening || m.state == fetching {
			actions = m.lose(e.err, now)
		}
	case evList:
		if m.state == fetching || m.state == online { // online: there was more of it
			actions = m.complete(e.entries, now)
		}
	case evMessage:
		actions = m.message(e, now)
	case evUnreachable:
		if m.state != waiting && m.state != opening {
			actions = m.lose(fmt.Errorf("%w: no coordinator listens at %v", p2p.ErrUnreachable, m.server), now)
		}
	case evLinkLost:
		if m.state == online {
			actions = m.login(now) // it answers, or it doesn't
		}
	}
	return actions, m.next
}

// timeout does what is due.
func (m *machine) timeout(now time.Time) []any {
	switch m.state {
	case waiting:
		m.state = opening
		m.next = now.Add(lastBackoff) // resolving has deadlines of its own
		if m.connected {
			return []any{doOpen{}}
		}
		return []any{doReport{p2p.Connecting{}}, doOpen{}}
	case loggingIn:
		if m.sent <= repeats {
			return m.repeat(now)
		}
		return m.lose(fmt.Errorf("%w: no coordinator answers at %v", p2p.ErrNoAnswer, m.server), now)
	case online:
		if m.ours {
			return m.login(now)
		}
		m.next = now.Add(pingEvery)
		return []any{doSend{classic.Alive{Name: m.name, Endpoint: m.self}}}
	default: // opening or fetching takes too long
		return m.lose(fmt.Errorf("%w: the coordinator at %v does not deliver the list", p2p.ErrNoAnswer, m.server), now)
	}
}

// login begins an attempt.
func (m *machine) login(now time.Time) []any {
	m.state, m.sent, m.early = loggingIn, 0, nil
	return m.repeat(now)
}

// repeat sends the login, and behind each repetition the question why.
func (m *machine) repeat(now time.Time) []any {
	actions := []any{doSend{classic.Login{Name: m.name, Endpoint: m.self}}}
	if m.sent > 0 {
		actions = append(actions, doSend{classic.Why{Name: m.name, Endpoint: m.self}})
	}
	wait := firstRepeat << m.sent
	if m.sent == repeats {
		wait = giveUp
	}
	m.sent++
	m.next = now.Add(wait)
	return actions
}

// complete takes the list, and on top of it what changed while it came.
func (m *machine) complete(entries []classic.Entry, now time.Time) []any {
	m.roster.replace(entries)
	for _, delta := range m.early {
		m.roster.apply(delta)
	}
	m.state, m.early, m.connected, m.backoff = online, nil, true, firstBackoff
	m.quiet(now)
	return []any{doReport{p2p.Connected{
		Server: m.server.String(),
		Self:   p2p.Person{Name: m.name, Addr: m.self},
		Roster: m.roster.people(),
	}}}
}

// quiet sets how long silence is fine from now on.
func (m *machine) quiet(now time.Time) {
	if m.ours {
		m.next = now.Add(aliveLimit)
	} else {
		m.next = now.Add(pingEvery)
	}
}

// lose ends an attempt or a login, and sets the time of the next attempt.
func (m *machine) lose(cause error, now time.Time) []any {
	wait := m.backoff/2 + time.Duration(m.rand.Int64N(int64(m.backoff/2)))
	m.backoff = min(2*m.backoff, lastBackoff)
	if errors.Is(cause, p2p.ErrRefused) {
		wait = refusedRetry
	}
	m.state, m.connected, m.ours = waiting, false, false
	m.next = now.Add(wait)
	return []any{doReport{p2p.Disconnected{Cause: cause, Retry: m.next}}}
}

// message handles a datagram from the coordinator.
func (m *machine) message(e evMessage, now time.Time) []any {
	switch msg := e.m.(type) {
	case classic.Accept:
		if m.state == loggingIn {
			m.state, m.next = fetching, now.Add(fetchTimeout)
			return []any{doFetch{netip.AddrPortFrom(e.from.Addr(), msg.Port)}}
		}
	case classic.Refused:
		if m.state == loggingIn {
			return m.lose(refusedError{msg.Reason}, now)
		}
	case classic.Alive:
		return m.alive(msg, now)
	case classic.Logout:
		if msg.Name == m.name && msg.Endpoint == m.self {
			if m.state == online {
				return m.lose(fmt.Errorf("%w: the coordinator at %v has stopped", p2p.ErrUnreachable, m.server), now)
			}
			return nil
		}
		return m.delta(msg, now)
	case classic.Login:
		return m.delta(msg, now)
	}
	return nil
}

// alive echoes the coordinator's probe of this client.
func (m *machine) alive(probe classic.Alive, now time.Time) []any {
	if probe.Name != m.name || probe.Endpoint != m.self || m.state == waiting || m.state == opening {
		return nil
	}
	m.ours = true
	if m.state == online {
		m.quiet(now)
	}
	return []any{doSend{probe}}
}

// delta applies a change of the roster, or keeps it until the list is here.
func (m *machine) delta(change classic.Message, now time.Time) []any {
	switch m.state {
	case fetching, loggingIn:
		if len(m.early) < maxEarly {
			m.early = append(m.early, change)
		}
		if !m.connected {
			return nil
		}
	case online:
		if m.ours {
			m.quiet(now)
		}
	default:
		return nil
	}
	if event := m.roster.apply(change); event != nil {
		return []any{doReport{event}}
	}
	return nil
}

// maxEarly bounds what is kept of changes that arrive before the list.
const maxEarly = 1 << 14

// refusedError is a refusal with the coordinator's sentence.
type refusedError struct{ reason string }

func (e refusedError) Error() string { return e.reason }
func (e refusedError) Unwrap() error { return p2p.ErrRefused }
