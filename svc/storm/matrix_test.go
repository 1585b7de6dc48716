package storm

import (
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/hostnet"
)

var (
	matrixTo = flag.String("matrix", "", "run all cells of TestMatrix, and write the table into this `file`")
	matrixAt = flag.String("cell", "", "run one cell of TestMatrix by its `name`")
)

// layout is where two people are to each other.
type layout uint8

const (
	apart      layout = iota // each behind a NAT of its own
	neighbours               // each at home, and both homes behind one carrier's NAT
	together                 // in one network, behind one NAT
)

var layoutNames = [...]string{"apart", "neighbours", "together"}

// cell is one case: Ann, who writes first, and Bo. a is Ann's NAT and b Bo's;
// it is the same where they share one.
type cell struct {
	layout  layout
	a, b    kind
	hairpin bool          // of the NATs, which is nothing to people who are apart
	loss    float64       // of all datagrams between two networks
	latency time.Duration // one way, between the two, and to the coordinator
	lower   bool          // Ann's device has the lower ID, so she makes the connection
}

var (
	losses    = []float64{0, 0.05, 0.2}
	latencies = []time.Duration{5 * time.Millisecond, 40 * time.Millisecond, 150 * time.Millisecond}
	sides     = []bool{true, false}
)

// stride picks the cells of an ordinary run out of all. The 144 cells of two
// kinds of mapping and filtering stand together, and it has no factor in common
// with that.
const stride = 55

func (c cell) String() string {
	return fmt.Sprintf("%s %s to %s hairpin=%v loss=%v latency=%v lower=%v", layoutNames[c.layout], c.a, c.b, c.hairpin, c.loss, c.latency, c.lower)
}

// theory says how the two get to each other.
func (c cell) theory() verdict {
	switch {
	case c.layout == together:
		return punched // they know each other's own address
	case c.layout == neighbours && !c.hairpin:
		return relayed // all they know is the carrier's address, at which nobody is let in from inside
	}
	return theory(c.a, c.b)
}

// cells are all of them.
func cells() (all []cell) {
	with := func(c cell) {
		for _, c.loss = range losses {
			for _, c.latency = range latencies {
				for _, c.lower = range sides {
					for _, c.hairpin = range sides {
						all = append(all, c)
					}
				}
			}
		}
	}
	every := kinds()
	for i := 0; i < len(every); i += 2 {
		for j := 0; j < len(every); j += 2 {
			for _, a := range every[i : i+2] {
				for _, b := range every[j : j+2] {
					with(cell{layout: apart, a: a, b: b})
				}
			}
		}
	}
	for _, l := range []layout{neighbours, together} {
		for _, k := range every {
			with(cell{layout: l, a: k, b: k})
		}
	}
	return all
}

func (c cell) nat(k kind) hostnet.NATConfig {
	return hostnet.NATConfig{Mapping: k.mapping, Filtering: k.filtering, PreservePorts: k.preserves, Hairpin: c.hairpin, V6Firewall: true}
}

// place puts the two into the world. A datagram is lost once on its way at most.
func (c cell) place(w *world) (ann, bo hostnet.Net) {
	first, second := netip.MustParseAddr("192.168.1.2"), netip.MustParseAddr("192.168.2.2")
	w.sim.Latency(c.latency)
	w.sim.Line(w.at.Addr(), hostnet.Line{Out: c.loss})
	switch c.layout {
	case apart:
		a := w.sim.NAT(netip.MustParseAddr("203.0.113.10"), c.nat(c.a))
		b := w.sim.NAT(netip.MustParseAddr("203.0.113.20"), c.nat(c.b))
		a.Lossy(c.loss, 0)
		b.Lossy(c.loss, 0)
		ann, bo = a.Host(first), b.Host(second)
	case neighbours:
		carrier := w.sim.NAT(netip.MustParseAddr("203.0.113.10"), c.nat(c.a))
		w.sim.Latency(c.latency / 2) // the other half is within the carrier's network
		carrier.Network.Latency(c.latency / 2)
		a := carrier.NAT(netip.MustParseAddr("100.64.1.2"), hostnet.NATConfig{PreservePorts: true})
		b := carrier.NAT(netip.MustParseAddr("100.64.2.2"), hostnet.NATConfig{PreservePorts: true})
		a.Lossy(c.loss, 0)
		b.Lossy(c.loss, 0)
		ann, bo = a.Host(first), b.Host(second)
	case together:
		router := w.sim.NAT(netip.MustParseAddr("203.0.113.10"), c.nat(c.a))
		w.sim.Latency(0) // it is all within their network
		router.Network.Latency(c.latency)
		ann, bo = router.Host(first), router.Host(second)
		for _, host := range []netip.Addr{first, second} {
			router.Line(host, hostnet.Line{Out: c.loss})
		}
	}
	w.otherPorts(bo)
	return ann, bo
}

// otherPorts has a host give out other ports than one that is as new: a NAT can
// preserve the port of one socket only.
func (w *world) otherPorts(host hostnet.Net) {
	for range 500 {
		conn, err := host.ListenPacket(w.Context(), netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
		if err != nil {
			w.Fatal(err)
		}
		conn.Close()
	}
}

const (
	// arriveWithin is what the program promises: what has not arrived after
	// ten seconds is told to be on its way no more. So it is asked for at any
	// loss: the relay is there after half a second and loses nothing.
	arriveWithin = 10 * time.Second
	// searchTime is how long one search for a path lasts, within which a path
	// must be found if nothing is lost: then each probe that can arrive does.
	searchTime = 10 * time.Second
	// searchTwice is for those to whom chance may deny it: by losses, or since
	// none of the guesses was right. Who is reached through the relay is
	// searched again each minute. The chance is below 1 % for one search (5 of
	// the guesses are right on average at a loss of 20 %, and none is once in
	// 150 times), so below 1 in 10,000 for two.
	searchTwice = time.Minute + 2*searchTime
)

// patience is how long a direct path may take that must be there.
func (c cell) patience() time.Duration {
	if c.loss == 0 && c.theory() != birthday {
		return searchTime
	}
	return searchTwice
}

// outcome is what became of a cell.
type outcome struct {
	cell
	first, back time.Duration // from a message to the word that it is stored
	direct      time.Duration // from the first message to a direct path, if there is one
	route       p2p.Route
}

// straight says that it went without the relay.
func (o outcome) straight() bool { return o.route == p2p.RouteDirect || o.route == p2p.RoutePunched }

func (c cell) run(w *world, seed uint64) outcome {
	w.sim.Seed(seed)
	hostAnn, hostBo := c.place(w)
	pair := keys()
	if !c.lower {
		slices.Reverse(pair)
	}
	ann, bo := w.person("Ann", hostAnn, pair[0]), w.person("Bo", hostBo, pair[1])
	defer ann.stop()
	defer bo.stop()
	ann.sees(bo)
	bo.sees(ann)
	settle(3 * time.Second) // so long both look at their network
	begin := time.Now()
	out := outcome{cell: c, first: w.wait("the first message", ann.send(bo, "1"), arriveWithin, ann, bo)}
	texts := []string{"1"}
	limit := searchTime + arriveWithin // by then everything has been tried
	if c.theory().direct() {
		limit = c.patience()
	}
	straight := func() bool {
		r := ann.lastRoute(bo)
		return r == p2p.RouteDirect || r == p2p.RoutePunched
	}
	for !ann.await(min(5*time.Second, limit-time.Since(begin)), straight) && time.Since(begin) < limit {
		texts = append(texts, fmt.Sprint(len(texts)+1)) // they go on talking
		w.wait("a message", ann.send(bo, texts[len(texts)-1]), arriveWithin, ann, bo)
	}
	out.route, out.direct = ann.route(bo), time.Since(begin)
	settle(2 * time.Second)
	out.back = w.wait("the answer", bo.send(ann, "1"), arriveWithin, ann, bo)
	w.Logf("%v: the first message took %v; %v after %v; the answer took %v", c.theory(), out.first, out.route, out.direct, out.back)
	c.judge(w, out, ann, bo, texts)
	return out
}

// judge holds an outcome against theory.
func (c cell) judge(w *world, out outcome, ann, bo *person, texts []string) {
	routes := []p2p.Route{out.route, ann.route(bo), bo.route(ann)}
	for _, route := range routes {
		straight := route == p2p.RouteDirect || route == p2p.RoutePunched
		want := c.theory()
		if want.direct() && !straight || want == relayed && route != p2p.RouteRelayed || want == either && !straight && route != p2p.RouteRelayed {
			w.Errorf("theory says %v, and it went %v\nAnn:\n%s\nBo:\n%s", want, routes, ann.log.String(), bo.log.String())
			break
		}
	}
	for _, p := range []struct {
		*person
		want []string
	}{{bo, texts}, {ann, []string{"1"}}} {
		p.mu.Lock()
		if !slices.Equal(p.got, p.want) {
			w.Errorf("%s has got %q, not %q", p.name, p.got, p.want)
		}
		p.mu.Unlock()
	}
}

// Whatever the NATs, the losses and the distance: every message arrives; who can
// do without the relay does, and nobody else seems to.
func TestMatrix(t *testing.T) {
	all := cells()
	var mu sync.Mutex
	var outcomes []outcome
	t.Run("cells", func(t *testing.T) {
		for i, c := range all {
			if *matrixAt != "" && c.String() != *matrixAt || *matrixAt == "" && *matrixTo == "" && i%stride != 0 {
				continue
			}
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				inWorldAt(t, publicServer, func(w *world) {
					out := c.run(w, uint64(i)+1)
					mu.Lock()
					defer mu.Unlock()
					outcomes = append(outcomes, out)
				})
			})
		}
	})
	if len(outcomes) == 0 {
		t.Error("there is no such cell")
	}
	for _, line := range stats(outcomes) {
		t.Log(line)
	}
	if *matrixTo != "" && !t.Failed() {
		writeMatrix(t, *matrixTo, outcomes)
	}
}

// The cells of an ordinary run have every value of every dimension, in every
// layout, and every pair of kinds of mapping and filtering.
func TestMatrixSample(t *testing.T) {
	all, sample := make(map[string]bool), make(map[string]bool)
	for i, c := range cells() {
		for _, trait := range []string{
			fmt.Sprint("kinds ", mappingNames[c.a.mapping], filteringNames[c.a.filtering], mappingNames[c.b.mapping], filteringNames[c.b.filtering], c.layout),
			fmt.Sprint("ports ", c.a.preserves, c.b.preserves, c.layout), fmt.Sprint("hairpin ", c.hairpin, c.layout),
			fmt.Sprint("loss ", c.loss, c.layout), fmt.Sprint("latency ", c.latency, c.layout), fmt.Sprint("lower ", c.lower, c.layout),
			fmt.Sprint("loss and latency ", c.loss, c.latency, c.lower), fmt.Sprint("verdict ", c.theory(), c.loss),
		} {
			all[trait] = true
			sample[trait] = sample[trait] || i%stride == 0
		}
	}
	if len(all) < 81+18 {
		t.Errorf("only %d traits", len(all))
	}
	for trait := range all {
		if !sample[trait] {
			t.Errorf("no cell of the sample has %s", trait)
		}
	}
}
