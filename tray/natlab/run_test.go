//go:build linux

package natlab

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/natlab/delay"
)

// cell is one place of the matrix: who sends, and to whom.
type cell struct {
	a, b     kind
	together bool
	latency  time.Duration // on either side's wire, each way
}

func (c cell) String() string {
	if c.together {
		return c.a.name + " shared"
	}
	return c.a.name + " to " + c.b.name
}

// direct says whether theory has a direct path.
func (c cell) direct() bool { return c.together || punchable(c.a, c.b) }

// outcome is what one run of a cell has shown.
type outcome struct {
	// first is how the first message went, and last the path that it ended
	// with; they differ where the relay was taken and left again.
	first, last string
	// delivered is the time from the click to "delivered", reached that to the
	// last path, after what the client's log says of the latter: from the
	// introduction on.
	delivered, reached, after time.Duration
	// introduced is the time from when b heard of a until the message had come
	// there, if it came directly; zero if nobody had to be introduced.
	introduced time.Duration
	// cost is what went over both hosts' wires until then.
	cost traffic
}

func direct(route string) bool { return route == "direct" || route == "punched" }

// settled is how long a run waits for a direct path where there should be one.
const settled = 12 * time.Second

// run lets a message go from a to b, who have just come online, and sees what
// becomes of it.
func (l *lab) run(c cell, n int) (o outcome) {
	l.t.Helper()
	a, b := l.a.startClient(fmt.Sprintf("Ann%d", n)), l.b.startClient(fmt.Sprintf("Bo%d", n))
	a.waitOnline(b.name)
	b.waitOnline(a.name)
	before := l.traffic()
	text := fmt.Sprintf("message %d", n)
	clicked := a.say(b.name, text).at
	o.delivered = a.waitMessage(text, chat.Delivered, chat.Read).at.Sub(clicked)
	received := b.waitMessage(text, chat.Received).at

	var paths []reached
	within(settled, func() bool {
		paths = a.paths(b.name)
		return len(paths) > 0 && (direct(paths[len(paths)-1].route) || !c.direct())
	})
	if len(paths) > 0 {
		first, last := paths[0], paths[len(paths)-1]
		o.first, o.last, o.after = first.route, last.route, last.after
		o.reached = last.at.Sub(clicked)
	}
	o.cost = l.traffic().minus(before)
	if direct(o.first) {
		var there []reached
		l.eventually("b knows the path, too", func() bool { there = b.paths(a.name); return len(there) > 0 })
		if heard := there[0]; direct(heard.route) && heard.after > 0 {
			o.introduced = received.Sub(heard.at.Add(-heard.after))
		}
	}
	a.term(l.t)
	b.term(l.t)
	return o
}

func (l *lab) traffic() traffic {
	a, b := l.a.traffic(), l.b.traffic()
	return traffic{a.bytes + b.bytes, a.probes + b.probes}
}

// reached is a line of the client's log.
type reached struct {
	route string
	at    time.Time
	after time.Duration
}

var attribute = regexp.MustCompile(`(\w+)=("[^"]*"|\S+)`)

// paths returns how somebody was reached since the client's start, in order.
func (k *client) paths(name string) (paths []reached) {
	k.side.lab.t.Helper()
	for line := range strings.Lines(k.log()) {
		if !strings.Contains(line, `msg="a device is reached"`) {
			continue
		}
		value := make(map[string]string)
		for _, m := range attribute.FindAllStringSubmatch(line, -1) {
			value[m[1]] = strings.Trim(m[2], `"`)
		}
		if value["name"] != name {
			continue
		}
		r := reached{route: value["route"]}
		var err error
		if r.at, err = time.Parse(time.RFC3339Nano, value["time"]); err != nil {
			k.side.lab.t.Fatalf("%s logs %q: %v", k.name, line, err)
		}
		if value["after"] != "" {
			if r.after, err = time.ParseDuration(value["after"]); err != nil {
				k.side.lab.t.Fatalf("%s logs %q: %v", k.name, line, err)
			}
		}
		paths = append(paths, r)
	}
	return paths
}

// lab builds the cell's.
func (c cell) lab(t testing.TB) *lab {
	return newLab(t, c.a, c.b, options{together: c.together, quality: delay.Quality{Latency: c.latency}})
}
