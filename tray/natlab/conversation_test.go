//go:build linux

package natlab

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"earshot/tray/chat"
)

// conversation is two people who talk, each with numbered messages.
type conversation struct {
	lab  *lab
	a, b *client
	n    int
}

func (l *lab) converse() *conversation {
	l.t.Helper()
	v := &conversation{lab: l, a: l.a.startClient("Ann"), b: l.b.startClient("Bo")}
	v.a.waitOnline("Bo")
	v.b.waitOnline("Ann")
	v.exchange(3)
	v.settle()
	return v
}

// exchange lets both say something, n times, and waits for no delivery.
func (v *conversation) exchange(n int) {
	v.lab.t.Helper()
	for range n {
		v.n++
		v.a.say("Bo", text(v.a, v.n))
		v.b.say("Ann", text(v.b, v.n))
	}
}

func text(from *client, n int) string { return fmt.Sprintf("%s says %03d", from.name, n) }

// settle waits until everything is delivered, and returns when that was.
func (v *conversation) settle() (at time.Time) {
	v.lab.t.Helper()
	for _, k := range []*client{v.a, v.b} {
		if seen := k.waitMessage(text(k, v.n), chat.Delivered, chat.Read).at; seen.After(at) {
			at = seen
		}
	}
	return at
}

// whole checks that everything has arrived, once, and in the order in which it
// was said.
func (v *conversation) whole() {
	t := v.lab.t
	t.Helper()
	for _, p := range []struct{ from, to *client }{{v.a, v.b}, {v.b, v.a}} {
		var want, got []string
		for n := range v.n {
			want = append(want, text(p.from, n+1))
		}
		for _, m := range p.to.history(p.from.name) {
			if m.State == chat.Received {
				got = append(got, m.Text)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s said\n%q and %s has\n%q", p.from.name, want, p.to.name, got)
		}
		for _, m := range p.from.history(p.to.name) {
			if m.State != chat.Received && m.State != chat.Delivered && m.State != chat.Read {
				t.Errorf("%s has %q as %s", p.from.name, m.Text, m.State)
			}
		}
	}
}

// path is how a reaches b now.
func (v *conversation) path() string {
	v.lab.t.Helper()
	paths := v.a.paths("Bo")
	if len(paths) == 0 {
		return ""
	}
	return paths[len(paths)-1].route
}

func (v *conversation) waitPath(what string, limit time.Duration, ok func(route string) bool) {
	v.lab.t.Helper()
	began := time.Now()
	if !within(limit, func() bool { return ok(v.path()) }) {
		v.lab.t.Errorf("not within %v: %s; the path is %q", limit, what, v.path())
		return
	}
	v.lab.t.Logf("%s after %v", what, time.Since(began).Round(time.Millisecond))
}

// back is how long a conversation may take to go on once it can.
const back = 3 * time.Second

// What was said while a router forgot everything, or got another address,
// arrives.
func TestRebinding(t *testing.T) {
	Need(t)
	for _, c := range []struct {
		name string
		a, b kind
		do   func(*lab)
	}{
		{"a restarts", easy, easy, func(l *lab) { l.a.rebind() }},
		{"b restarts", easy, easy, func(l *lab) { l.b.rebind() }},
		{"a has another address", easy, easy, func(l *lab) { l.a.readdress() }},
		{"b has another address", easy, easy, func(l *lab) { l.b.readdress() }},
		{"both have another address", easy, easy, func(l *lab) { l.a.readdress(); l.b.readdress() }},
		{"a is hard and restarts", hard, easy, func(l *lab) { l.a.forget() }},
		{"b is hard and restarts", easy, hard, func(l *lab) { l.b.forget() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			defer enter()()
			l := cell{a: c.a, b: c.b}.lab(t)
			l.startCoordinator()
			v := l.converse()
			v.waitPath("a direct path", settled, direct)
			began := time.Now()
			c.do(l)
			v.exchange(3)
			took := v.settle().Sub(began)
			t.Logf("the conversation goes on after %v", took.Round(time.Millisecond))
			if took > back {
				t.Errorf("the conversation goes on after %v", took)
			}
			v.exchange(3)
			v.settle()
			v.whole()
		})
	}
}

// Who talks directly goes on talking while the coordinator is away.
func TestCoordinatorKilled(t *testing.T) {
	Need(t)
	for _, b := range []kind{easy, hard} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			defer enter()()
			l := cell{a: easy, b: b}.lab(t)
			c := l.startCoordinator()
			v := l.converse()
			v.waitPath("a direct path", settled, direct)
			c.kill()
			v.exchange(5)
			v.settle()
			c.start()
			for _, k := range []*client{v.a, v.b} {
				l.eventually(k.name+" is online again", func() bool {
					return decode[chat.Status](t, k.must("status", "--json")).Connection == chat.Online
				})
			}
			v.exchange(3)
			v.settle()
			v.whole()
		})
	}
}

// A path that is lost is replaced by the relay, and the relay is left once
// there is a path again.
func TestPathLost(t *testing.T) {
	Need(t)
	t.Parallel()
	defer enter()()
	l := cell{a: easy, b: easy}.lab(t)
	l.startCoordinator()
	v := l.converse()
	v.waitPath("a direct path", settled, direct)
	began := time.Now()
	l.a.udp(false)
	v.exchange(3)
	t.Logf("without UDP the conversation goes on after %v", v.settle().Sub(began).Round(time.Millisecond))
	v.waitPath("the relay", settled, func(route string) bool { return route == "relayed" })
	v.exchange(3)
	v.settle()
	l.a.udp(true)
	v.exchange(1)
	// A direct path is tried again each minute.
	v.waitPath("a direct path again", 75*time.Second, direct)
	v.exchange(3)
	v.settle()
	v.whole()
}
