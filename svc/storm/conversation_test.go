package storm

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"earshot/p2p"
)

// talk is two people who write to each other all the time.
type talk struct {
	*world
	ann, bo  *person
	a, b     spot
	sent     int
	awaiting []<-chan struct{}
}

// inTalk runs a test of a conversation that goes on meanwhile: two messages each
// way a second, from before what happens until long after it.
func inTalk(t *testing.T, a, b place, happen func(*talk)) {
	t.Parallel()
	inWorldAt(t, publicServer, func(w *world) {
		w.sim.Latency(15 * time.Millisecond)
		pair := keys()
		c := &talk{world: w}
		c.a, c.b = w.put(a, 1), w.put(b, 2)
		c.ann, c.bo = w.person("Ann", c.a.host, pair[0]), w.person("Bo", c.b.host, pair[1])
		defer c.ann.stop()
		defer c.bo.stop()
		c.ann.sees(c.bo)
		c.bo.sees(c.ann)
		settle(2 * time.Second)
		happen(c)
		c.everything()
	})
}

// chat goes on for so long.
func (c *talk) chat(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); settle(500 * time.Millisecond) {
		c.sent++
		text := fmt.Sprintf("%04d", c.sent)
		c.awaiting = append(c.awaiting, c.ann.send(c.bo, text), c.bo.send(c.ann, text))
	}
}

// back says how long it takes until a message in either direction arrives.
func (c *talk) back() time.Duration {
	start := time.Now()
	c.sent++
	text := fmt.Sprintf("%04d", c.sent)
	for _, delivered := range []<-chan struct{}{c.ann.send(c.bo, text), c.bo.send(c.ann, text)} {
		c.wait("a message after it", delivered, time.Minute, c.ann, c.bo)
	}
	return time.Since(start)
}

// within fails the test if it took too long until messages arrived again.
func (c *talk) within(limit time.Duration) {
	c.Helper()
	if took := c.back(); took > limit {
		c.Errorf("messages arrive again after %v, not within %v\nAnn:\n%s\nBo:\n%s", took, limit, c.ann.log.String(), c.bo.log.String())
	} else {
		c.Logf("messages arrive again after %v", took)
	}
}

// everything checks that all messages have arrived, once and in order.
func (c *talk) everything() {
	c.Helper()
	for _, delivered := range c.awaiting {
		c.wait("a message", delivered, time.Minute, c.ann, c.bo)
	}
	var want []string
	for i := range c.sent {
		want = append(want, fmt.Sprintf("%04d", i+1))
	}
	for _, p := range []*person{c.ann, c.bo} {
		p.mu.Lock()
		if !slices.Equal(p.got, want) {
			c.Errorf("%s has %d messages of %d: %.400q\n%s", p.name, len(p.got), len(want), p.got, p.log.String())
		}
		p.mu.Unlock()
	}
}

// goes fails the test unless the two reach each other by one of these routes.
func (c *talk) goes(routes ...p2p.Route) {
	c.Helper()
	for _, p := range [][2]*person{{c.ann, c.bo}, {c.bo, c.ann}} {
		if got := p[0].route(p[1]); !slices.Contains(routes, got) {
			c.Errorf("%s reaches %s %v, want %v\n%s", p[0].name, p[1].name, got, routes, p[0].log.String())
		}
	}
}

var (
	behindEasy = places[1]
	behindHard = places[2]
)

func TestCoordinatorIsKilledMeanwhile(t *testing.T) {
	inTalk(t, behindEasy, behindEasy, func(c *talk) {
		c.chat(5 * time.Second)
		c.sim.Kill(c.at.Addr())
		c.within(100 * time.Millisecond)
		c.chat(time.Minute)
		c.goes(p2p.RoutePunched)
		c.stop()
		c.serve()
		c.chat(20 * time.Second)
		c.within(100 * time.Millisecond)
	})
}

// A NAT that forgets its mappings, on either side and on both.
func TestNATIsRebound(t *testing.T) {
	for name, rebind := range map[string]func(*talk){
		"Ann's":            func(c *talk) { c.a.router.Rebind() },
		"Bo's":             func(c *talk) { c.b.router.Rebind() },
		"both":             func(c *talk) { c.a.router.Rebind(); c.b.router.Rebind() },
		"with new address": func(c *talk) { c.a.router.SetPublic(c.a.router.Public().Next()) },
	} {
		for _, kinds := range [][2]place{{behindEasy, behindEasy}, {behindHard, behindEasy}} {
			t.Run(name+" "+kinds[0].name+" to "+kinds[1].name, func(t *testing.T) {
				inTalk(t, kinds[0], kinds[1], func(c *talk) {
					c.chat(5 * time.Second)
					rebind(c)
					c.within(3 * time.Second)
					c.chat(10 * time.Second)
					rebind(c)
					c.chat(30 * time.Second)
					c.goes(p2p.RoutePunched)
				})
			})
		}
	}
}

// UDP is blocked in the middle of it, and let through again: the relay is taken,
// and left.
func TestPathIsLost(t *testing.T) {
	for _, kinds := range [][2]place{{behindEasy, behindEasy}, {behindEasy, behindHard}, {places[0], behindEasy}} {
		t.Run(kinds[0].name+" to "+kinds[1].name, func(t *testing.T) {
			inTalk(t, kinds[0], kinds[1], func(c *talk) {
				c.chat(5 * time.Second)
				c.goes(p2p.RoutePunched, p2p.RouteDirect)
				c.b.router.Lossy(1, 1)
				c.within(3 * time.Second)
				c.chat(2 * time.Minute)
				c.goes(p2p.RouteRelayed)
				c.b.router.Lossy(0, 0)
				c.chat(70 * time.Second)
				c.goes(p2p.RoutePunched, p2p.RouteDirect)
				c.within(100 * time.Millisecond)
			})
		})
	}
}

// The relay's connection is cut, and the coordinator killed, while there is
// nothing else.
func TestRelayIsLost(t *testing.T) {
	blocked := places[5]
	inTalk(t, blocked, behindEasy, func(c *talk) {
		c.chat(5 * time.Second)
		c.goes(p2p.RouteRelayed)
		c.sim.CutTCP(c.at.Addr())
		c.within(3 * time.Second)
		c.chat(5 * time.Second)
		c.sim.Kill(c.at.Addr())
		c.chat(5 * time.Second)
		c.stop()
		c.serve()
		c.within(40 * time.Second) // which is for the backoff of a login
		c.goes(p2p.RouteRelayed)
	})
}

// A computer without network for an hour, as one that was asleep.
func TestAnHourAway(t *testing.T) {
	for _, kinds := range [][2]place{{behindEasy, behindEasy}, {behindHard, behindEasy}, {places[5], behindEasy}, {places[0], places[0]}} {
		t.Run(kinds[0].name+" to "+kinds[1].name, func(t *testing.T) {
			inTalk(t, kinds[0], kinds[1], func(c *talk) {
				c.chat(5 * time.Second)
				c.a.pull(true)
				c.chat(time.Second)
				settle(time.Hour)
				c.a.pull(false)
				c.within(3 * time.Second)
				c.chat(time.Minute)
				c.within(100 * time.Millisecond)
			})
		})
	}
}
