package nat

import (
	"net/netip"
	"slices"
	"time"
)

// Times of a round (RFC 8489, 6.2.1, with a first wait that suits the Internet
// of today, and fewer repetitions: a person waits).
const (
	firstWait = 100 * time.Millisecond // doubles with each repetition
	tries     = 4                      // at 0, 100, 300 and 700 ms
	lastTry   = 700 * time.Millisecond
	// maxTime is when what is unanswered counts as that.
	maxTime = 1500 * time.Millisecond
	// leastPatience is the least time for which answers are waited for, after
	// the last try, that a round can do without.
	leastPatience = 200 * time.Millisecond
	// maxServers bounds how many ports are asked.
	maxServers = 8
)

// purpose is what a question is for.
type purpose uint8

const (
	forBinding purpose = iota // where does this port see me?
	forProof                  // the same, with the cookie that a first answer brought
	forOther                  // does an answer get in from a port that wasn't asked?
	forHops                   // do so few hops reach the coordinator?
)

// question is one transaction. It belongs to its round.
type question struct {
	id      transaction
	purpose purpose
	to      netip.AddrPort
	ttl     int // 0 is the system's
	bytes   []byte

	tries, failed int // writes, and those that were no success
	first, next   time.Time

	answered, refused bool
	seen              netip.AddrPort // by to
	via               netip.AddrPort // where the answer came from
	rtt               time.Duration
	exact             bool // rtt is that of the only try
}

// open says whether an answer may still come.
func (q *question) open() bool {
	return !q.answered && !q.refused && (q.tries < tries || !q.unsent())
}

// unsent says that nothing of it has left this host.
func (q *question) unsent() bool { return q.failed == q.tries }

// needed says whether a round waits for it as long as it can.
func (q *question) needed() bool { return q.purpose == forBinding || q.purpose == forProof }

// accepts says whether an answer may come from there: from where the question
// went, or, if another port was asked for, from that address's other ports.
func (q *question) accepts(from netip.AddrPort) bool {
	if q.purpose == forOther {
		return from.Addr() == q.to.Addr() && from.Port() != q.to.Port()
	}
	return from == q.to
}

// round is the state of one asking: (event, now) in, what to send and when to
// wake up out.
type round struct {
	token     string
	newID     func() transaction
	began     time.Time
	questions []*question
	byID      map[transaction]*question
	cookies   map[netip.Addr]cookie // by the coordinator's address: what it gave last
	proven    map[cookie]bool       // those that go with a question of this round
	rtt       time.Duration         // of the fastest answer
	exact     bool
}

// newRound returns a round that asks these ports, of which the first of each
// address is its main one. cookies are those of rounds before.
func newRound(servers []netip.AddrPort, token string, cookies map[netip.Addr]cookie, full bool, newID func() transaction, now time.Time) (*round, error) {
	r := &round{
		token: token, newID: newID, began: now,
		byID: make(map[transaction]*question), cookies: make(map[netip.Addr]cookie), proven: make(map[cookie]bool),
	}
	var asked []netip.AddrPort
	for _, s := range servers {
		s = netip.AddrPortFrom(s.Addr().Unmap(), s.Port())
		if s.IsValid() && s.Port() != 0 && !slices.Contains(asked, s) && len(asked) < maxServers {
			asked = append(asked, s)
		}
	}
	for _, s := range asked {
		if c, ok := cookies[s.Addr()]; ok {
			r.cookies[s.Addr()] = c
		}
		if err := r.ask(forBinding, s, 0, now); err != nil {
			return nil, err
		}
	}
	for _, four := range []bool{true, false} {
		i := slices.IndexFunc(asked, func(s netip.AddrPort) bool { return s.Addr().Is4() == four })
		if !full || i < 0 {
			continue
		}
		if err := r.ask(forOther, asked[i], 0, now); err != nil {
			return nil, err
		}
		for ttl := 2; ttl <= MaxHops; ttl++ {
			if err := r.ask(forHops, asked[i], ttl, now); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// ask adds a question, to be sent now.
func (r *round) ask(p purpose, to netip.AddrPort, ttl int, now time.Time) error {
	id, c := r.newID(), r.cookies[to.Addr()]
	b, err := request{id: id, token: r.token, cookie: c, change: p == forOther}.encode()
	if err != nil {
		return err
	}
	if c != (cookie{}) {
		r.proven[c] = true
	}
	q := &question{id: id, purpose: p, to: to, ttl: ttl, bytes: b, next: now}
	r.questions = append(r.questions, q)
	r.byID[id] = q
	return nil
}

// send is a datagram to be written.
type send struct {
	id    transaction
	bytes []byte
	to    netip.AddrPort
	ttl   int
}

// due returns what is to be sent now, and when to call again if nothing happens
// before; done is that there is nothing left to wait for.
func (r *round) due(now time.Time) (out []send, wake time.Time, done bool) {
	if r.done(now) {
		return nil, time.Time{}, true
	}
	wake = r.began.Add(maxTime)
	if p := r.patience(); p.After(now) && p.Before(wake) {
		wake = p
	}
	for _, q := range r.questions {
		if !q.open() || q.tries == tries {
			continue
		}
		if !q.next.After(now) {
			if q.tries == 0 {
				q.first = now
			}
			q.next = now.Add(firstWait << q.tries)
			q.tries++
			out = append(out, send{q.id, q.bytes, q.to, q.ttl})
		}
		if q.tries < tries && q.next.Before(wake) {
			wake = q.next
		}
	}
	return out, wake, false
}

// unsent notes that a datagram could not be written.
func (r *round) unsent(id transaction) {
	if q := r.byID[id]; q != nil {
		q.failed++
	}
}

// heard takes in an answer, and says whether it was one to a question that is
// open, from where it may come.
func (r *round) heard(a answer, from netip.AddrPort, now time.Time) bool {
	q := r.byID[a.id]
	if q == nil || q.answered || q.refused || q.tries == 0 || !q.accepts(from) {
		return false
	}
	if a.refused {
		q.refused = true
		return true
	}
	if !plausible(a.seen, q.to) {
		return false
	}
	q.answered, q.seen, q.via = true, a.seen, from
	// Of an answer to one of several tries nobody knows to which.
	q.rtt, q.exact = now.Sub(q.first), q.tries == 1
	if q.needed() && (r.rtt == 0 || q.exact && !r.exact || q.exact == r.exact && q.rtt < r.rtt) {
		r.rtt, r.exact = max(q.rtt, 1), q.exact
	}
	if r.token != "" && a.cookie != (cookie{}) {
		r.cookies[q.to.Addr()] = a.cookie
		// A proof asks for no further one, or a coordinator that gives a new
		// cookie each time would be asked for as long as the round lasts.
		if q.purpose != forProof && !r.proven[a.cookie] {
			_ = r.ask(forProof, q.to, 0, now) // it can't fail: the same was encoded before
		}
	}
	return true
}

// patience is until when answers are waited for without which a round is whole.
func (r *round) patience() time.Time {
	return r.began.Add(min(maxTime, lastTry+max(leastPatience, 2*r.rtt)))
}

// done says whether to wait no longer.
func (r *round) done(now time.Time) bool {
	heard, waiting, sendable := false, false, false
	missing := map[bool]bool{} // by whether it is IPv4: a needed answer is
	some := map[bool]bool{}    // and one has come
	for _, q := range r.questions {
		four := q.to.Addr().Is4()
		if q.needed() && (q.answered || q.refused) {
			heard, some[four] = true, true
		}
		if !q.open() {
			continue
		}
		sendable = sendable || q.unsent()
		waiting = waiting || !q.unsent()
		missing[four] = missing[four] || q.needed()
	}
	switch {
	case !now.Before(r.began.Add(maxTime)):
		return true
	case !waiting && (heard || !sendable) && !r.unstarted():
		return true
	}
	return !now.Before(r.patience()) && (some[true] && !missing[true] || some[false] && !missing[false])
}

// settled says whether all is known but what only a full round asks for.
func (r *round) settled() bool {
	heard := false
	for _, q := range r.questions {
		if !q.needed() {
			continue
		}
		if q.tries == 0 || q.open() && !q.unsent() {
			return false
		}
		heard = heard || q.answered
	}
	return heard
}

// unstarted says whether a question has not been sent once.
func (r *round) unstarted() bool {
	return slices.ContainsFunc(r.questions, func(q *question) bool { return q.tries == 0 })
}
