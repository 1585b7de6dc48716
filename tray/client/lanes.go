package client

import (
	"slices"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/store"
)

const (
	// window is how many items are under way to one device at a time. By the
	// classic protocol it is one: the next goes when the state of the one
	// before is stored, so that a crash can double one message at most.
	window = 32
	// Failed items go again after a time that doubles between these.
	shortestBackoff = 5 * time.Second
	longestBackoff  = time.Minute
	// keepFor is how long an item waits for a device.
	keepFor     = 30 * 24 * time.Hour
	expireEvery = time.Hour
)

func now() time.Time { return time.Now() }

// outItem is an item that has not reached everyone yet.
type outItem struct {
	*store.Item
	entries []*entry
	// undelivered are the people, by folded name, none of whose devices has
	// the text yet.
	undelivered map[string]bool
}

// entry is an item on its way to one device.
type entry struct {
	item    *outItem
	to      store.Delivery
	lane    *lane
	sent    bool // under way
	dropped bool // it was under way when it was not wanted any more
}

// lane is what goes to one device, in the order of the items. Items leave one
// behind the other, many being under way. After a failure nothing leaves until
// it is known what became of the others, so that they go again in order.
type lane struct {
	person   string // folded name, or "" for the own account
	device   identity.PublicKey
	entries  []*entry
	underway int
	failing  bool // the last thing that is known is a failure
	settle   bool // nothing leaves while anything is under way
	backoff  time.Duration
	retryAt  time.Time
	stalled  bool // nothing can leave
}

func (l *lane) window() int {
	if l.device == (identity.PublicKey{}) {
		return 1
	}
	return window
}

// enqueue puts an item into its lane, which is its end unless it goes again.
func (e *Engine) enqueue(o *outItem, to store.Delivery) {
	k := key(to.Person)
	if e.lanes[k] == nil {
		e.lanes[k] = make(map[identity.PublicKey]*lane)
	}
	l := e.lanes[k][to.Device]
	if l == nil {
		l = &lane{person: k, device: to.Device, stalled: true}
		e.lanes[k][to.Device] = l
	}
	en := &entry{item: o, to: to, lane: l}
	i := len(l.entries)
	for i > 0 && !l.entries[i-1].sent && l.entries[i-1].item.ID > o.ID {
		i--
	}
	l.entries = slices.Insert(l.entries, i, en)
	o.entries = append(o.entries, en)
	e.news.dirty[o.Message] = true
}

// forget takes an entry out of its lane and its item.
func (e *Engine) forget(en *entry) {
	l := en.lane
	if i := slices.Index(l.entries, en); i >= 0 {
		l.entries = slices.Delete(l.entries, i, i+1)
	}
	if len(l.entries) == 0 && l.underway == 0 {
		delete(e.lanes[l.person], l.device)
		if len(e.lanes[l.person]) == 0 {
			delete(e.lanes, l.person)
		}
	}
	o := en.item
	o.entries = slices.DeleteFunc(o.entries, func(other *entry) bool { return other == en })
	if len(o.entries) == 0 && o.Kind == store.KindText {
		rest := slices.DeleteFunc(e.texts[o.Message], func(other *outItem) bool { return other == o })
		if e.texts[o.Message] = rest; len(rest) == 0 {
			delete(e.texts, o.Message)
		}
	}
	e.news.dirty[o.Message] = true
}

// drop takes an entry back. What is under way can't be, and is forgotten when
// it is known what became of it.
func (e *Engine) drop(en *entry) {
	if en.sent {
		en.dropped = true
		return
	}
	e.forget(en)
}

// way says whether it is worth trying to send through a lane, and where to.
// Devices on a stale roster are: items don't need the coordinator.
func (e *Engine) way(l *lane) (p2p.Target, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	classic := l.device == (identity.PublicKey{})
	switch {
	case l.person == chat.Everyone:
		return p2p.Target{}, e.status.Connection == chat.Online
	case l.person == "":
		self := p2p.Person{Name: e.status.Name, Devices: e.mine.devices}
		return p2p.Target{Person: self, Device: l.device}, trusts(e.known[""], l.device) && isOnline(self, l.device)
	}
	p := e.people[l.person]
	if p == nil || !p.online || p.trust.Blocked() {
		return p2p.Target{}, false
	}
	if classic {
		return p2p.Target{Person: p.Person}, p.trust == chat.TrustNone
	}
	return p2p.Target{Person: p.Person, Device: l.device}, trusts(e.known[l.person], l.device) && isOnline(p.Person, l.device)
}

func isOnline(p p2p.Person, device identity.PublicKey) bool {
	return slices.ContainsFunc(p.Devices, func(d p2p.Device) bool { return d.Key == device && d.Online })
}

// pump sends what can leave through a lane.
func (e *Engine) pump(l *lane) {
	to, reachable := e.way(l)
	defer func() {
		if stalled := !reachable || l.failing; stalled != l.stalled {
			l.stalled = stalled
			for _, en := range l.entries {
				e.news.dirty[en.item.Message] = true
			}
		}
	}()
	if e.work.Err() != nil {
		reachable = false
	}
	if !reachable || l.settle && l.underway > 0 || now().Before(l.retryAt) {
		return
	}
	l.settle = false
	for _, en := range l.entries {
		if l.underway >= l.window() {
			return
		}
		if !en.sent {
			en.sent = true
			l.underway++
			e.transmit(en, to)
		}
	}
}

// transmit hands an item to the transport.
func (e *Engine) transmit(en *entry, to p2p.Target) {
	o := en.item
	if en.lane.person == chat.Everyone {
		text := o.Text
		e.workers.Go(func() { e.results.put(en, e.config.Transport.SendToAll(e.work, text)) })
		return
	}
	if to.Device != (identity.PublicKey{}) && len(o.Text) > p2p.MaxText {
		e.results.put(en, &tooLong{e.p.T("EngineLongText", "Limit", p2p.MaxText>>10)})
		return
	}
	item := p2p.Item{ID: o.UID, At: o.At, Audience: o.Audience, Body: body(o.Item)}
	if en.lane.person == "" {
		item.CopyOf = o.Peer
	}
	e.config.Transport.Send(to, item, func(err error) { e.results.put(en, err) })
}

// tooLong is a text that the secure protocol has no room for.
type tooLong struct{ sentence string }

func (t *tooLong) Error() string { return t.sentence }
func (t *tooLong) Unwrap() error { return p2p.ErrRefusedItem }

// body is what an item says.
func body(i *store.Item) p2p.Body {
	var first p2p.ItemID
	if len(i.Targets) > 0 {
		first = i.Targets[0]
	}
	switch i.Kind {
	case store.KindEdit:
		return p2p.Edit{Of: first, Text: i.Text}
	case store.KindDelete:
		return p2p.Delete{Of: first}
	case store.KindSeen:
		return p2p.Seen{Of: i.Targets}
	case store.KindAcknowledge:
		return p2p.Acknowledge{Of: first}
	}
	return p2p.Text{Text: i.Text, ReplyTo: first, Urgent: i.Urgent}
}

// fail lets a lane rest for a while.
func (e *Engine) fail(l *lane) {
	if !l.settle {
		l.backoff = min(max(2*l.backoff, shortestBackoff), longestBackoff)
	}
	l.failing, l.settle = true, true
	l.retryAt = now().Add(l.backoff)
	e.wakeBy(l.retryAt)
}

// rested lets a lane try again at once.
func (l *lane) rested() { l.retryAt, l.failing, l.backoff = time.Time{}, false, 0 }

// wakeBy lets wake run at a time, if it wouldn't earlier.
func (e *Engine) wakeBy(at time.Time) {
	if e.wakeAt.IsZero() || at.Before(e.wakeAt) {
		e.wakeAt = at
		e.timer.Reset(time.Until(at))
	}
}

// wake does what is due.
func (e *Engine) wake() input {
	var due []*lane
	var old []*entry
	var routed []rerouted
	at := now()
	return input{
		alone: true,
		prepare: func() (changes []store.Change) {
			e.wakeAt = time.Time{}
			for k, lanes := range e.lanes {
				for _, l := range lanes {
					switch {
					case l.retryAt.IsZero():
					case l.retryAt.After(at):
						e.wakeBy(l.retryAt)
					default:
						l.retryAt = time.Time{}
						due = append(due, l)
					}
				}
				if len(due) > 0 && due[len(due)-1].person == k {
					routed = append(routed, e.reroute(k)...)
				}
			}
			if !at.Before(e.expireAt) {
				e.expireAt = at.Add(expireEvery)
				old = e.expired(at)
			}
			e.wakeBy(e.expireAt)
			for _, en := range old {
				changes = append(changes, e.giveUp(en))
			}
			for _, r := range routed {
				changes = append(changes, r.change)
			}
			return changes
		},
		commit: func(error) {
			e.typingOver(at)
			e.rerouted(routed)
			for _, en := range old {
				delete(en.item.undelivered, en.lane.person)
				e.news.reread(en.item.Message)
				e.forget(en)
			}
			for _, l := range due {
				e.pump(l)
			}
		},
	}
}

// expired are the entries that have waited too long.
func (e *Engine) expired(at time.Time) (old []*entry) {
	for _, lanes := range e.lanes {
		for _, l := range lanes {
			for _, en := range l.entries {
				if !en.sent && at.Sub(en.item.At) > keepFor {
					old = append(old, en)
				}
			}
		}
	}
	return old
}

func (e *Engine) giveUp(en *entry) store.Change {
	d := &store.Done{Delivery: en.to}
	if en.item.Kind == store.KindText {
		d.Message, d.State = en.item.Message, chat.Failed
		d.Problem = e.p.T("EngineWaitedTooLong", "Name", en.to.Person)
	}
	return d
}
