package session

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"earshot/p2p"
	"earshot/p2p/punch"
	"earshot/protocol/identity"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"
)

// lingerFor is how long a device's goroutine stays that has nothing to do, so
// that its limits hold across its connections.
const lingerFor = 10 * time.Second

// device is one other device. All but box, unstored and the limiters belongs to
// the goroutine of run.
type device struct {
	e   *Endpoint
	key identity.PublicKey
	box box
	// unstored holds a token for each item that was reported and whose
	// acknowledgement has not left.
	unstored      chan struct{}
	frames, bytes *rate.Limiter

	ctx          context.Context // of Run
	machine      machine
	links        map[linkID]*link // Endpoint.mu guards it too, for others to read
	shown        route            // in the last Path that was reported
	known        netip.AddrPort
	introduced   []netip.AddrPort
	introducedAt time.Time
	told         []punch.Candidate // by the last introduction
	// asked and answered are the searches for a path that follow from this
	// device's introduction and from the other's; nil for none.
	asked, answered *exchange
	introductions   *rate.Limiter
	sought          time.Time       // since when a path has been searched for, one search after the other
	found           time.Duration   // how long that was for the newest connection; 0 if none was
	race            *race           // of the attempts that are under way
	following       context.Context // of those on paths that were found; nil for none
	stopFollowing   context.CancelFunc
	why             string          // the last connection ended
	tries           []try           // those who wait to be told how the device is reached
	dialling        context.Context // nil if nothing is dialled
	stopDialling    context.CancelFunc
}

func newDevice(e *Endpoint, key identity.PublicKey) *device {
	d := &device{
		e: e, key: key, box: newBox(), unstored: make(chan struct{}, maxUnstored),
		frames: rate.NewLimiter(rate.Limit(e.limits.frames), int(e.limits.frames)),
		bytes:  rate.NewLimiter(rate.Limit(e.limits.bytes), int(e.limits.bytes)),
		links:  make(map[linkID]*link),
	}
	d.introductions = rate.NewLimiter(introductionsOfOne, introductionsAtOnce)
	d.machine = machine{lower: lower(e.self, key.ID()), look: d.look, relayed: e.cfg.Relay != nil}
	return d
}

// What happens to a device, besides what happens to its machine: a *link is a
// new connection.
type (
	// evLater is an item that arrived and can't be stored now.
	evLater struct{ id linkID }
	// evPlaced is news of this device's own network.
	evPlaced struct{}
)

// run works until Run's context ends, or nothing has been to do for a while.
func (d *device) run() {
	d.ctx = d.e.ctx
	timer := time.NewTimer(0)
	defer timer.Stop()
	var idle time.Time // since when
	for {
		select {
		case <-d.box.filled:
		case <-timer.C:
		case <-d.ctx.Done():
			d.end()
			return
		}
		now := time.Now()
		events := d.box.take()
		if len(events) == 0 {
			events = []any{evTick{}}
		}
		for _, ev := range events {
			d.step(ev)
		}
		wake := d.machine.wake(time.Now())
		if search := d.search(time.Now()); !search.IsZero() && (wake.IsZero() || search.Before(wake)) {
			wake = search
		}
		if again := d.answerTries(time.Now()); !again.IsZero() && (wake.IsZero() || again.Before(wake)) {
			wake = again
		}
		if !d.machine.idle() || len(d.unstored) > 0 || d.asked != nil || d.answered != nil {
			idle = time.Time{}
		} else {
			if idle.IsZero() {
				idle = now
			}
			if now.Sub(idle) >= lingerFor && d.e.retire(d) {
				return
			}
			wake = idle.Add(lingerFor)
		}
		timer.Stop()
		if !wake.IsZero() {
			timer.Reset(time.Until(wake))
		}
	}
}

// step has the machine decide about an event and does what it says.
func (d *device) step(ev any) {
	for events := []any{ev}; len(events) > 0; events = events[1:] {
		now := time.Now()
		ev := d.prepare(events[0], now)
		if ev == nil {
			continue
		}
		for _, a := range d.machine.step(ev, now) {
			if follow := d.do(a, now); follow != nil {
				events = append(events, follow)
			}
		}
		if _, sent := ev.(evSend); sent && d.machine.current == nil && len(d.addresses(now)) == 0 {
			events = append(events, evUnknown{})
		}
	}
}

// prepare notes what the machine has no use for, and returns what it has.
func (d *device) prepare(ev any, now time.Time) any {
	switch ev := ev.(type) {
	case *link:
		if name, _, ok := d.e.cfg.Lookup(d.key); !ok || name != ev.name { // meanwhile
			d.e.hangUp(ev.conn, codeStranger)
			return nil
		}
		d.found = 0
		if d.asked != nil || d.answered != nil {
			d.found = now.Sub(d.sought)
		}
		if ev.at.IsValid() {
			d.known = ev.at
			d.endSearch()
		}
		ev.lane.use(1)
		d.setLink(ev.id, ev)
		d.e.running.Go(ev.write)
		d.e.running.Go(func() { d.box.put(evDown{ev.id, ev.read(d)}) })
		return evReady{ev.id, ev.dialled, ev.lane.relay}
	case Introduction:
		return d.meet(ev, now)
	case evProbe:
		if ev.ex == d.asked || ev.ex == d.answered {
			d.advance(ev.ex, ev.heard, now)
		}
		return nil
	case evPlaced:
		d.place(now)
		return nil
	case evTry:
		d.tries = append(d.tries, try{ev.result, now})
		return evWanted{}
	case evDown:
		d.why = ev.why.String()
		d.setLink(ev.id, nil)
	case evLater:
		if l := d.links[ev.id]; l != nil {
			d.e.hangUp(l.conn, codeLater)
		}
		return nil
	}
	return ev
}

// do does what the machine wants, and returns an event that follows from it.
func (d *device) do(action any, now time.Time) any {
	switch a := action.(type) {
	case actDial:
		if !d.dialAll(now) && d.machine.current == nil {
			return evUnknown{}
		}
	case actStopDial:
		if d.dialling != nil {
			d.stopDialling()
			d.dialling = nil
		}
	case actIntroduce:
		return d.introduce(now)
	case actDialRelay:
		d.dialRelay()
	case actRelay:
		if a.open {
			d.e.cfg.Relay.Open(d.key)
		} else {
			d.e.cfg.Relay.Close(d.key)
		}
	case actWrite:
		d.links[a.id].send(a.item.frame, nil)
	case actTyping:
		d.links[a.id].send(typing(a.active), nil)
	case actNudge:
		d.links[a.id].send(nudge, nil)
	case actDoubt:
		d.e.cfg.Doubt()
	case actClose:
		d.why = a.code.String()
		d.e.hangUp(d.links[a.id].conn, a.code)
		d.setLink(a.id, nil)
	case actDone:
		a.item.done(a.err)
	case actPath:
		d.show(d.links[a.id])
	}
	return nil
}

// setLink notes a connection, or that there is none any more.
func (d *device) setLink(id linkID, l *link) {
	d.e.mu.Lock()
	defer d.e.mu.Unlock()
	if l != nil {
		d.links[id] = l
		return
	}
	if old := d.links[id]; old != nil {
		old.lane.useLocked(-1)
	}
	delete(d.links, id)
}

// show reports how the device is reached, if that has changed.
func (d *device) show(l *link) {
	var now route
	var name string
	if l != nil {
		now, name = d.routeOf(l), l.name
	} else if name, _, _ = d.e.cfg.Lookup(d.key); name == "" {
		return // nobody knows it any more
	}
	was := d.shown
	if d.shown = now; now == was {
		return
	}
	path := Path{Device: d.key, Name: name, Route: now.by, At: now.at}
	if l != nil {
		d.e.log.Info("a device is reached", "device", d.key.ID().Short(), "name", name, "route", now.by.String(), "at", now.at, "after", d.found)
	} else if d.why != codeIdle.String() && d.why != codeShutdown.String() {
		path.Why = d.why
	}
	d.e.on(path)
}

// look tells the machine how a connection is.
func (d *device) look(id linkID) vital {
	if l := d.links[id]; l != nil {
		return l.vital()
	}
	return vital{}
}

// end closes everything and fails what waits.
func (d *device) end() {
	d.e.end()
	for _, ev := range d.box.take() {
		switch ev := ev.(type) {
		case evSend:
			d.machine.queue = append(d.machine.queue, ev.item)
		case *link:
			d.e.hangUp(ev.conn, codeShutdown)
		}
	}
	d.step(evEnd{})
	d.endSearch()
	d.answerTries(time.Now())
}

// abandon fails what waits at a device whose goroutine never ran.
func (d *device) abandon() {
	for _, ev := range d.box.take() {
		if ev, ok := ev.(evSend); ok {
			ev.item.done(p2p.ErrNotConnected)
		}
	}
}

// release makes room for another item.
func (d *device) release() {
	<-d.unstored
	if len(d.unstored) == 0 {
		d.box.nudge()
	}
}

// pace waits until the device may have sent what it has.
func (d *device) pace(ctx context.Context, size int) error {
	if err := d.frames.Wait(ctx); err != nil {
		return err
	}
	return d.bytes.WaitN(ctx, size)
}

// hangUp closes a connection without waiting for it.
func (e *Endpoint) hangUp(c *quic.Conn, why code) {
	e.running.Go(func() { closeConn(c, why) })
}

// box is what waits for a goroutine.
type box struct {
	mu     sync.Mutex
	events []any
	filled chan struct{} // has a token if there may be events
}

func newBox() box { return box{filled: make(chan struct{}, 1)} }

func (b *box) put(ev any) {
	b.mu.Lock()
	b.events = append(b.events, ev)
	b.mu.Unlock()
	b.nudge()
}

// nudge has the goroutine look at things.
func (b *box) nudge() {
	select {
	case b.filled <- struct{}{}:
	default:
	}
}

func (b *box) take() []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	events := b.events
	b.events = nil
	return events
}

func (b *box) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.events) == 0
}
