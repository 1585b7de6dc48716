package storm

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/p2p"
)

// rounds is a time in round trips, and quantile is what a share of some has not
// exceeded.
func (o outcome) rounds(d time.Duration) float64 { return float64(d) / float64(2*o.latency) }

func quantile(sorted []float64, share float64) float64 {
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// numbers are the median and the 95th percentile of something of outcomes.
func numbers(of []outcome, get func(outcome) (float64, bool)) string {
	var all []float64
	for _, o := range of {
		if v, ok := get(o); ok {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return "–"
	}
	slices.Sort(all)
	return fmt.Sprintf("%.1f / %.1f", quantile(all, 0.5), quantile(all, 0.95))
}

// stats are the rows of a table: each way and loss.
func stats(all []outcome) (rows []string) {
	for l := range layout(len(layoutNames)) {
		for v := range verdicts {
			for _, loss := range losses {
				var some []outcome
				straight, soon := 0, 0
				for _, o := range all {
					if o.layout != l || o.theory() != v || o.loss != loss {
						continue
					}
					some = append(some, o)
					if o.straight() {
						straight++
					}
					if o.straight() && o.direct <= searchTime {
						soon++
					}
				}
				if len(some) == 0 {
					continue
				}
				var row strings.Builder
				fmt.Fprintf(&row, "| %s | %s | %.0f %% | %d | %d | %d |", layoutNames[l], v, 100*loss, len(some), straight, soon)
				for _, latency := range latencies {
					fmt.Fprintf(&row, " %s |", numbers(some, func(o outcome) (float64, bool) { return o.rounds(o.first), o.latency == latency }))
				}
				rows = append(rows, fmt.Sprintf("%s %s | %s |", row.String(),
					numbers(some, func(o outcome) (float64, bool) { return o.direct.Seconds(), o.straight() }),
					numbers(some, func(o outcome) (float64, bool) { return o.rounds(o.back), true })))
			}
		}
	}
	return rows
}

const matrixHead = `# Who reaches whom, in theory and in memory

` + "`make nat-theory`" + ` writes this file; it is TestMatrix of svc/storm with all of its %d cells: whole clients
(p2p/secure with quic-go) and a whole coordinator, behind NATs in memory (protocol/hostnet), in fake time. In every
cell every message arrived, once, within %v of being sent, and what theory says about the path (the function
` + "`theory`" + ` there) came true; the run fails otherwise. Losses are of datagrams: TCP, and with it the
relay, loses nothing here, and takes no longer.

The kinds are those of RFC 4787: mapping that is endpoint-independent (EIM), or depends on the address (ADM) or on
address and port (APDM); + is that a socket's own port is seen outside. Filtering alike: EIF, ADF, APDF.

- **P**, punched: each is where the coordinator sees it.
- **L**, learned: of one only its own probe tells where it is.
- **B**, birthday: so does a right guess among 2,048, with 256 sockets behind the hard NAT.
- **R**, relayed: there is no way, or nobody can know it. The coordinator has one address, and so takes ADM for EIM.
- **?**: luck or laxity finds a way at times; how often is in the second table.

`

// writeMatrix writes the tables.
func writeMatrix(t *testing.T, file string, all []outcome) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, matrixHead, len(all), arriveWithin)
	letters := [...]string{"P", "L", "B", "R", "?"}
	every := kinds()
	b.WriteString("| behind different NATs |")
	for _, k := range every {
		fmt.Fprintf(&b, " %v |", k)
	}
	b.WriteString("\n|---|" + strings.Repeat(":-:|", len(every)) + "\n")
	for _, a := range every {
		fmt.Fprintf(&b, "| **%v** |", a)
		for _, k := range every {
			fmt.Fprintf(&b, " %s |", letters[theory(a, k)])
		}
		b.WriteString("\n")
	}
	b.WriteString("\nTwo homes behind one carrier's NAT are as two behind different ones of its kind if it hairpins, and reach each other\n" +
		"through the relay if it doesn't. Two in one network reach each other directly, whatever is between it and the rest.\n\n" +
		"Per loss, each figure is median / 95th percentile: in round trips, the time from the first message to the word that it\n" +
		"is stored, by whatever way, at 5, 40 and 150 ms one way (a connection is only dialled for 30 ms before the coordinator\n" +
		"is asked, and the relay is taken after half a second: 3 and 50 round trips at 5 ms); in seconds, the time from the first\n" +
		"message to a path without the relay; and in round trips again, how long the answer took, sent two seconds after that.\n\n" +
		fmt.Sprintf("| | way | loss | cells | direct | within %v | first, 5 ms | 40 ms | 150 ms | direct after, s | answer |\n|---|---|---|---|---|---|---|---|---|---|---|\n", searchTime))
	for _, row := range stats(all) {
		b.WriteString(row + "\n")
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// lastRoute is route, with mu held.
func (p *person) lastRoute(other *person) (last p2p.Route) {
	for _, r := range p.reached {
		if r.Device == other.key.Public() {
			last = r.Route
		}
	}
	return last
}
