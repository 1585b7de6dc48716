package client

import (
	"context"

	"earshot/p2p"
	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/store"
)

// meeting is a person of whom the coordinator tells, and what was decided about
// the devices.
type meeting struct {
	key     string // folded name, or "" for the own account
	person  p2p.Person
	verdict verdict
	before  chat.Trust
	routed  []rerouted
}

// meet decides about a person whom the coordinator tells of. What is known of
// the person is changed at once, so that whatever is worked out next goes by it.
func (e *Engine) meet(k string, p p2p.Person) *meeting {
	account := k
	if k == "" {
		account = e.self
	}
	before := e.known[k]
	m := &meeting{key: k, person: p}
	// This device needs nobody to vouch for it here.
	itself := k == "" && len(before.Pins) > 0 && len(p.Devices) > 0 && !trusts(before, e.config.Device)
	if itself {
		before = accept(before, chat.TrustChanged, []p2p.Device{{Key: e.config.Device}}, now())
	}
	m.verdict = judge(before, account, true, p.Devices, now())
	m.verdict.changed = m.verdict.changed || itself
	e.mu.Lock()
	if k == "" {
		m.before = e.mine.trust
	} else if old := e.people[k]; old != nil {
		m.before = old.trust
	}
	if m.verdict.changed {
		m.verdict.known.Name = p.Name
		if k == "" {
			m.verdict.known.Name = ""
		}
		e.known[k] = m.verdict.known
	}
	e.mu.Unlock()
	m.routed = e.reroute(k)
	return m
}

func (m *meeting) changes() (list []store.Change) {
	if m.verdict.changed {
		list = append(list, store.Remember{Known: m.verdict.known})
	}
	for _, r := range m.routed {
		list = append(list, r.change)
	}
	return list
}

// met tells of what was decided, and lets things go their new ways.
func (e *Engine) met(m *meeting) {
	e.rerouted(m.routed)
	name := m.person.Name
	v := m.verdict
	if m.key == "" {
		e.mu.Lock()
		e.mine = account{devices: m.person.Devices, trust: v.trust, fresh: v.fresh}
		e.mu.Unlock()
		for _, label := range v.joined {
			e.notice("", e.p.T("EngineOwnDevice", "Device", label))
		}
		for _, label := range v.gone {
			e.notice("", e.p.T("EngineOwnDeviceGone", "Device", label))
		}
		if v.trust == chat.TrustChanged && m.before != v.trust {
			e.notice(name, e.p.T("EngineOwnChanged", "Device", called(v.fresh[0].Label, v.fresh[0].Key)))
		}
		return
	}
	e.mu.Lock()
	p := e.people[m.key]
	talked := p != nil && p.talked
	e.mu.Unlock()
	if !talked {
		return
	}
	for _, label := range v.joined {
		e.notice(name, e.p.T("EngineNewDevice", "Name", name, "Device", label))
	}
	for _, label := range v.gone {
		e.notice(name, e.p.T("EngineDeviceGone", "Name", name, "Device", label))
	}
	switch {
	case v.trust == m.before:
	case v.trust == chat.TrustChanged:
		e.notice(name, e.p.T("EngineTrustChanged", "Name", name))
	case v.trust == chat.TrustLost:
		e.notice(name, e.p.T("EngineTrustLost", "Name", name))
	}
}

// selfChanged is the own entry, whenever its devices change.
func (e *Engine) selfChanged(self p2p.Person) input {
	var m *meeting
	return input{
		alone: true,
		prepare: func() []store.Change {
			m = e.meet("", self)
			return m.changes()
		},
		commit: func(error) {
			e.met(m)
			for _, l := range e.lanes[""] {
				l.rested()
				e.pump(l)
			}
		},
	}
}

// Trust implements localapi.Engine. For the own name it is about the account's
// own devices. To verify is to accept too, for the number covers every device.
func (e *Engine) Trust(ctx context.Context, peer string, action chat.TrustAction) error {
	var refused error
	var m *meeting
	err := e.do(ctx, input{
		alone: true,
		prepare: func() []store.Change {
			if m, refused = e.decide(peer, action); m == nil {
				return nil
			}
			return m.changes()
		},
		commit: func(err error) {
			if m == nil {
				return
			}
			e.met(m)
			e.mu.Lock()
			if p := e.people[m.key]; p != nil && m.key != "" {
				p.trust, p.fresh = m.verdict.trust, m.verdict.fresh
				e.publishLocked(chat.Event{Type: chat.EventPerson, Person: new(e.viewLocked(p))})
			}
			e.mu.Unlock()
			for _, l := range e.lanes[m.key] {
				l.rested()
				e.pump(l)
			}
		},
	})
	if err != nil {
		return err
	}
	return refused
}

// decide is what a person's decision about another comes to; nil if nothing.
func (e *Engine) decide(peer string, action chat.TrustAction) (*meeting, error) {
	k, p, trust, fresh, online, err := e.judged(peer)
	if err != nil {
		return nil, err
	}
	known := e.known[k]
	switch {
	case action == chat.TrustAccept && trust.Blocked():
		known = accept(known, trust, fresh, now())
	case action == chat.TrustAccept:
		return nil, nil // there is nothing to decide
	case len(known.Pins) == 0 || trust == chat.TrustLost || known.Classic:
		return nil, e.sentence(localapi.CodeBadRequest, "EngineNotSecure", "Name", p.Name)
	case action == chat.TrustVerify:
		known = accept(known, trust, fresh, now())
		known.Verified = true
	case action == chat.TrustUnverify:
		known.Verified = false
	default:
		return nil, e.sentence(localapi.CodeBadRequest, "EngineNoSuchAction")
	}
	known.Name = p.Name
	account := k
	if k == "" {
		known.Name, account = "", e.self
	}
	m := &meeting{key: k, person: p}
	m.verdict = judge(known, account, online, p.Devices, now())
	m.verdict.changed = true
	m.before = m.verdict.trust // nobody needs to be told
	m.verdict.joined, m.verdict.gone = nil, nil
	e.mu.Lock()
	e.known[k] = m.verdict.known
	e.mu.Unlock()
	m.routed = e.reroute(k)
	return m, nil
}

// judged is what was decided about a peer so far.
func (e *Engine) judged(peer string) (k string, p p2p.Person, trust chat.Trust, fresh []p2p.Device, online bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k = key(peer)
	if k == e.self && k != "" {
		return "", p2p.Person{Name: e.status.Name, Devices: e.mine.devices}, e.mine.trust, e.mine.fresh, true, nil
	}
	o := e.people[k]
	if o == nil || isGroup(k) || k == "" {
		return k, p, "", nil, false, e.sentence(localapi.CodeUnknownPerson, "EngineUnknownPerson", "Name", peer)
	}
	return k, o.Person, o.trust, o.fresh, o.online, nil
}
