//go:build linux

package natlab

import (
	"os"
	"slices"
	"testing"
	"time"
)

// atOnce is how many labs stand side by side: three programs each, which wait
// for each other most of the time.
const atOnce = 4

var places = make(chan struct{}, atOnce)

// enter waits for a place among them; what it returns leaves it.
func enter() (leave func()) {
	places <- struct{}{}
	return func() { <-places }
}

// quickly is what a path through a hard NAT may take.
const quickly = 3 * time.Second

// Every kind of network against an easy and a hard one: the message arrives,
// and goes directly wherever theory has a direct path. With -results it is
// every kind against every kind, and the table is written.
func TestMatrix(t *testing.T) {
	Need(t, "miniupnpd")
	cells, times := part(), 1
	if *results != "" {
		cells, times = whole(), *runs
	}
	table := make([]entry, len(cells))
	t.Run("cells", func(t *testing.T) {
		for i, c := range cells {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				defer enter()()
				n := times
				if *results != "" && c.often() {
					n = 20
				} else if c.latency > 0 {
					n = max(n, 5)
				}
				table[i] = entry{cell: c}
				table[i].runs = c.measure(t, n)
				table[i].judge(t)
			})
		}
	})
	if *results == "" {
		return
	}
	for _, latency := range latencies {
		if took, promise := atDistance(table, latency), (cell{latency: latency}).promise(); took > promise {
			t.Errorf("with a latency of %v half of the messages came later than %v after the introduction: more than %v", latency, took, promise)
		}
	}
	conversations.Lock()
	defer conversations.Unlock()
	if err := os.WriteFile(*results, document(table, conversations.list, *runs), 0o644); err != nil {
		t.Fatal(err)
	}
}

// part is what every `make test` runs: each kind against an easy and a hard
// NAT, sending in one direction or the other.
func part() (cells []cell) {
	for i, k := range kinds {
		for j, other := range []kind{easy, hard} {
			c := cell{a: k, b: other}
			if (i+j)%2 == 1 && k.name != other.name {
				c.a, c.b = c.b, c.a
			}
			cells = append(cells, c)
		}
	}
	return append(cells, cell{a: easy, b: easy, together: true}, cell{a: six, b: dual})
}

// latencies are those of a wire, each way, in the cells with a latency.
var latencies = []time.Duration{10 * time.Millisecond, 40 * time.Millisecond}

// whole is every kind against every kind, in both directions, and some again
// over wires with a latency.
func whole() (cells []cell) {
	for _, a := range kinds {
		for _, b := range kinds {
			cells = append(cells, cell{a: a, b: b})
		}
	}
	for _, k := range []kind{easy, hard, open, cone, blocked, twice, six} {
		cells = append(cells, cell{a: k, b: k, together: true})
	}
	for _, latency := range latencies {
		for _, a := range []kind{none, easy, hard, open, cone, twice, mapped, blocked} {
			cells = append(cells, cell{a: a, b: easy, latency: latency}, cell{a: easy, b: a, latency: latency})
		}
		cells = append(cells, cell{a: six, b: six, latency: latency}, cell{a: dual, b: dual, latency: latency}, cell{a: twice, b: twice, latency: latency})
	}
	return cells
}

// often says whether a cell is what the promise about hard NATs is about.
func (c cell) often() bool {
	return !c.together && c.latency == 0 && (c.a.name == easy.name && c.b.name == hard.name || c.a.name == hard.name && c.b.name == easy.name)
}

// measure runs a cell.
func (c cell) measure(t *testing.T, times int) (outcomes []outcome) {
	t.Helper()
	l := c.lab(t)
	l.startCoordinator()
	for n := range times {
		outcomes = append(outcomes, l.run(c, n))
		for _, s := range []*side{l.a, l.b} {
			s.forget() // the next run finds NATs that know nothing
		}
	}
	return outcomes
}

// entry is a cell and what it has shown.
type entry struct {
	cell
	runs []outcome
}

// judge says what is not as it must be. That every message was delivered is
// shown by there being an outcome.
func (e entry) judge(t *testing.T) {
	t.Helper()
	for _, o := range e.runs {
		t.Logf("%s: %s, then %s after %v; delivered in %v; %d bytes, %d probes", e.cell, o.first, o.last, o.reached.Round(time.Millisecond),
			o.delivered.Round(time.Millisecond), o.cost.bytes, o.cost.probes)
		if !e.direct() && direct(o.last) && (e.a.noUDP || e.b.noUDP) {
			t.Errorf("the path is %s where there can be none", o.last)
		}
	}
	if !e.direct() {
		return
	}
	// Birthday probing may fail, if seldom.
	if failed, hardly := e.slow(), e.guessed(); failed > 0 && (!hardly || failed*20 > len(e.runs)) {
		t.Errorf("%d of %d runs had no direct path within %v", failed, len(e.runs), quickly)
	}
}

// guessed says whether a path may have to be found by birthday probing.
func (c cell) guessed() bool {
	return c.a.nat == addressAndPortDependent || c.b.nat == addressAndPortDependent
}

// introduced is the time from the introduction to the first message that half
// of the runs needed.
func (e entry) introduced() time.Duration {
	return time.Duration(e.median(func(o outcome) int { return int(o.introduced) }))
}

// atDistance is the same over all cells of a latency in which no ports have to
// be guessed. Runs whose message went by the relay count as endless.
func atDistance(table []entry, latency time.Duration) time.Duration {
	var all entry
	for _, e := range table {
		if e.latency != latency || e.guessed() || !e.direct() {
			continue
		}
		for _, o := range e.runs {
			if !direct(o.first) {
				o.introduced = time.Hour
			}
			all.runs = append(all.runs, o)
		}
	}
	if len(all.runs) == 0 {
		return 0
	}
	return all.introduced()
}

// promise is what that may be.
func (c cell) promise() time.Duration { return 3*c.roundTrip() + 50*time.Millisecond }

// slow counts the runs that had no direct path in time.
func (e entry) slow() (n int) {
	for _, o := range e.runs {
		if !direct(o.last) || o.reached > quickly {
			n++
		}
	}
	return n
}

// median returns the middle of what the runs have shown.
func (e entry) median(of func(outcome) int) int {
	var values []int
	for _, o := range e.runs {
		values = append(values, of(o))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
