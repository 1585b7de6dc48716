//go:build linux

package natlab

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot/tray/chat"
)

// conversation is two people who talk, each with numbered messages.
type conversation struct {
	lab         *lab
	coordinator *coordinator
	a, b        *client
	n           int // messages that each has said
	under       []word
}

// word is a message that is under way, or was.
type word struct {
	to   *client
	text string
	at   time.Time // said
}

// converse lets two people talk until they do so directly.
func (l *lab) converse() *conversation {
	l.t.Helper()
	v := &conversation{lab: l, coordinator: l.startCoordinator(), a: l.a.startClient("Ann"), b: l.b.startClient("Bo")}
	v.online()
	v.talk(3)
	v.waitPath("a direct path", settled, direct)
	return v
}

// online waits until both are, and know it of each other.
func (v *conversation) online() {
	v.lab.t.Helper()
	for _, k := range []*client{v.a, v.b} {
		v.lab.eventually(k.name+" is online", func() bool {
			return decode[chat.Status](v.lab.t, k.must("status", "--json")).Connection == chat.Online
		})
	}
	v.a.waitOnline("Bo")
	v.b.waitOnline("Ann")
}

// say lets both say something, n times, and waits for nothing to arrive.
func (v *conversation) say(n int) {
	v.lab.t.Helper()
	for range n {
		v.n++
		for _, p := range v.both() {
			said := text(p.from, v.n)
			v.under = append(v.under, word{p.to, said, p.from.say(p.to.name, said).at})
		}
	}
}

// talk lets both say something, n times, and returns how long the longest of
// all that was under way took to arrive.
func (v *conversation) talk(n int) (longest time.Duration) {
	v.lab.t.Helper()
	v.say(n)
	for _, w := range v.under {
		longest = max(longest, w.to.waitMessage(w.text, chat.Received).at.Sub(w.at))
	}
	v.under = nil
	return longest
}

// direction is from one to the other.
type direction struct{ from, to *client }

func (v *conversation) both() []direction { return []direction{{v.a, v.b}, {v.b, v.a}} }

func text(from *client, n int) string { return fmt.Sprintf("%s says %03d", from.name, n) }

// whole checks that everything has arrived, once, and in the order in which it
// was said, and that whoever said it knows.
func (v *conversation) whole() {
	t := v.lab.t
	t.Helper()
	for _, p := range v.both() {
		p.from.waitMessage(text(p.from, v.n), chat.Delivered, chat.Read)
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

// waitPath returns how long it took until the path was one that ok accepts.
func (v *conversation) waitPath(what string, limit time.Duration, ok func(route string) bool) time.Duration {
	v.lab.t.Helper()
	began := time.Now()
	if !within(limit, func() bool { return ok(v.path()) }) {
		v.lab.t.Errorf("not within %v: %s; the path is %q", limit, what, v.path())
	}
	return time.Since(began)
}

// waitPathOrTalk waits for a direct path, but not without a word for so long
// that the session would be given up.
func (v *conversation) waitPathOrTalk() {
	v.lab.t.Helper()
	if !within(10*time.Second, func() bool { return direct(v.path()) }) {
		v.talk(1)
	}
}

const (
	// back is how long a conversation may take to go on once it can.
	back = 3 * time.Second
	// noticed is how long it may take until who is on the relay has found a
	// direct path again that there is: it looks each minute.
	noticed = 75 * time.Second
)

// happening is something in the middle of a conversation.
type happening struct {
	name, says string
	do         func(*conversation)
	// over ends it, so that a direct path is possible again; nil if there is one
	// all the time.
	over func(*conversation)
	// relayed says that there is no direct path meanwhile.
	relayed bool
}

var happenings = []happening{
	{name: "coordinator killed", says: "the coordinator crashes, and starts again later",
		do:   func(v *conversation) { v.coordinator.kill() },
		over: func(v *conversation) { v.coordinator.start(); v.online() }},
	{name: "a rebound", says: "the sender's router restarts: all mappings are forgotten, and new ones have other ports",
		do: func(v *conversation) { v.lab.a.rebind() }},
	{name: "b rebound", says: "the receiver's router restarts", do: func(v *conversation) { v.lab.b.rebind() }},
	{name: "both rebound", says: "both routers restart",
		do: func(v *conversation) { v.lab.a.rebind(); v.lab.b.rebind() }},
	{name: "a readdressed", says: "the sender's provider gives another address",
		do: func(v *conversation) { v.lab.a.readdress() }},
	{name: "b readdressed", says: "the receiver's provider gives another address",
		do: func(v *conversation) { v.lab.b.readdress() }},
	{name: "both readdressed", says: "both providers give another address",
		do: func(v *conversation) { v.lab.a.readdress(); v.lab.b.readdress() }},
	{name: "path lost", says: "the sender's router drops all UDP, and later lets it through again", relayed: true,
		do: func(v *conversation) { v.lab.a.udp(false) }, over: func(v *conversation) { v.lab.a.udp(true) }},
	{name: "path lost at b", says: "the receiver's router does so", relayed: true,
		do: func(v *conversation) { v.lab.b.udp(false) }, over: func(v *conversation) { v.lab.b.udp(true) }},
}

// happened is what a conversation made of it.
type happened struct {
	happening
	networks    string
	during      time.Duration // the longest that a message took
	after       time.Duration // and once it was over
	path        string        // while it lasted
	directAgain time.Duration // how long that took once it could be
}

// live lets something happen in the middle of a conversation.
func (v *conversation) live(h happening) (o happened) {
	t := v.lab.t
	t.Helper()
	o = happened{happening: h, networks: v.lab.a.kind.name + ", " + v.lab.b.kind.name}
	v.say(2)
	h.do(v)
	o.during = v.talk(5)
	if h.relayed {
		v.waitPath("the relay is taken", settled, func(route string) bool { return route == "relayed" })
		v.talk(2)
	}
	o.path = v.path()
	if h.over != nil {
		v.say(1)
		h.over(v)
		o.after = v.talk(3)
	}
	began := time.Now()
	for !direct(v.path()) && time.Since(began) < noticed {
		v.waitPathOrTalk()
	}
	o.directAgain = v.waitPath("there is a direct path again", 0, direct) + time.Since(began)
	v.talk(2)
	v.whole()
	t.Logf("%s (%s): a message took %v at most, %v once it was over; the path was %s, and a direct one there after %v", h.name, o.networks,
		o.during.Round(time.Millisecond), o.after.Round(time.Millisecond), o.path, o.directAgain.Round(time.Millisecond))
	for _, p := range v.both() {
		var all []string
		for _, r := range p.from.paths(p.to.name) {
			all = append(all, r.at.Format("05.000 ")+r.route)
		}
		t.Logf("%s's paths: %s", p.from.name, strings.Join(all, ", "))
	}
	for _, took := range []time.Duration{o.during, o.after} {
		if took > back {
			t.Errorf("%s: a message took %v", h.name, took)
		}
	}
	return o
}

// conversations is what TestConversation has seen, for RESULTS.md.
var conversations struct {
	sync.Mutex
	list []happened
}

// In the middle of a conversation the coordinator crashes, a router forgets
// everything or gets another address, and the path is lost, the relay taken and
// left again: nothing is lost, doubled or reordered, and the conversation goes
// on within seconds.
func TestConversation(t *testing.T) {
	Need(t)
	note := func(seen ...happened) {
		conversations.Lock()
		defer conversations.Unlock()
		conversations.list = append(conversations.list, seen...)
	}
	for _, networks := range [][2]kind{{easy, easy}, {hard, easy}, {easy, hard}, {six, six}} {
		for _, h := range happenings {
			if networks[0].noIPv4 && h.do != nil && (strings.Contains(h.name, "rebound") || strings.Contains(h.name, "readdressed")) {
				continue // without NAT there is nothing to forget
			}
			if *results == "" && networks[0].name != easy.name && !h.relayed && h.over == nil && h.name != "a rebound" {
				continue
			}
			t.Run(networks[0].name+" and "+networks[1].name+" "+h.name, func(t *testing.T) {
				t.Parallel()
				defer enter()()
				v := cell{a: networks[0], b: networks[1]}.lab(t).converse()
				note(v.live(h))
			})
		}
	}
	t.Run("one after the other", func(t *testing.T) {
		t.Parallel()
		defer enter()()
		v := cell{a: easy, b: easy}.lab(t).converse()
		for _, h := range happenings {
			v.live(h)
		}
	})
}
