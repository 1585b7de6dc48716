//go:build linux

package natlab

import (
	"bytes"
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// document is RESULTS.md.
func document(table []entry, list []happened, times int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Through every NAT

Made by `+"`make nat-matrix`"+`: the shipped programs in network namespaces, each network behind the kernel's own NAT. The row
sends, the column receives. Both have just come online and have never talked; one clicks, and the time is that until
the message is *delivered*: stored by the other one's program. Each cell was run %d times, at a distance 5 times, and the
figures are medians.

What doesn't depend on the machine: the path found, the probes, about the bytes, and whether a promise is kept. The wires
have no latency unless it is said, so that times are the programs' own, on a machine with %d processors on which several
laboratories ran at once; on the Internet round trips come on top. No network here has more than two NATs one behind the
other, and no wire loses anything; for loss see the [matrix of NATs in memory](../../svc/storm/MATRIX.md).

`, times, runtime.NumCPU())
	fmt.Fprintf(&b, `| network | what it is |
|---|---|
`)
	for _, k := range kinds {
		fmt.Fprintf(&b, "| %s | %s |\n", k.name, k.says)
	}
	b.WriteString("\n## Path and time to delivered\n\n")
	square(&b, table, entry.brief)
	b.WriteString("\nA path is *direct* (an address of the device's own, or a port that its router has opened), *punched*, or *relayed*;\n" +
		"what could be direct and wasn't, or not within 3 s, is **bold**. Where a time follows in brackets, the message went by the\nrelay, and the path was there after that time. " +
		"Relayed there is no other way: ports would have to be guessed on both sides, UDP\ndoesn't get out, or the two have no version of IP in common.\n")
	b.WriteString("\n## Cost\n\nkB over both hosts' wires from the click to the last path, and the probes among it.\n\n")
	square(&b, table, func(e entry) string {
		return fmt.Sprintf("%d kB, %d", e.median(func(o outcome) int { return o.cost.bytes })/1000, e.median(func(o outcome) int { return o.cost.probes }))
	})
	b.WriteString("\n## One network for both\n\n| behind | path | bytes, probes |\n|---|---|---|\n")
	for _, e := range table {
		if e.together && len(e.runs) > 0 {
			fmt.Fprintf(&b, "| %s | %s | %d kB, %d |\n", e.a.name, e.brief(), e.median(func(o outcome) int { return o.cost.bytes })/1000,
				e.median(func(o outcome) int { return o.cost.probes }))
		}
	}
	b.WriteString("\n## One hard NAT\n\n| from | to | runs | direct within 3 s | slowest |\n|---|---|---|---|---|\n")
	for _, e := range table {
		if e.often() {
			fmt.Fprintf(&b, "| %s | %s | %d | %d | %s |\n", e.a.name, e.b.name, len(e.runs), len(e.runs)-e.slow(), ms(e.slowest()))
		}
	}
	distances(&b, table)
	halves(&b, table)
	lived(&b, list)
	return b.Bytes()
}

// distances are the cells with a latency.
func distances(b *bytes.Buffer, table []entry) {
	b.WriteString("\n## At a distance\n\nWith a latency on the wires. *First message* is the time from when the other device has heard of the introduction until\n" +
		"the message has come there; the promise is three round trips between the two and 50 ms. Where nothing is written no\n" +
		"introduction was needed, or the first message went by the relay: where ports have to be guessed the promise is 3 s.\n\n" +
		"| from | to | round trip | path, time from click to delivered | first message | promise |\n|---|---|---|---|---|---|\n")
	for _, e := range table {
		if e.latency == 0 || len(e.runs) == 0 {
			continue
		}
		after, promise := "", ""
		if took := e.introduced(); took > 0 {
			after = ms(took)
			if !e.guessed() {
				promise = ms(e.promise())
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", e.a.name, e.b.name, ms(e.roundTrip()), e.brief(), after, promise)
	}
}

// halves says what the promise about them all has come to.
func halves(b *bytes.Buffer, table []entry) {
	for _, latency := range latencies {
		c := cell{latency: latency}
		if took := atDistance(table, latency); took > 0 {
			fmt.Fprintf(b, "\nOver a round trip of %s half of all first messages needed at most %s; promised are %s.\n", ms(c.roundTrip()), ms(took), ms(c.promise()))
		}
	}
}

// lived is what happened in the middle of conversations.
func lived(b *bytes.Buffer, list []happened) {
	b.WriteString("\n## In the middle of a conversation\n\nTwo people talk all the time; then something happens. Of what both had said and went on saying nothing was lost, doubled\n" +
		"or reordered. *Longest* is how long a message took to arrive at most, which 3 s are allowed for; *then* the same once it\n" +
		"was over, and *direct again* how long it took from then on until the relay was left, which is looked for ever more\n" +
		"seldom, and each minute at last.\n\n")
	for i, h := range happenings {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(b, "*%s*: %s", h.name, h.says)
	}
	b.WriteString(".\n\n| what | networks | longest | path meanwhile | then | direct again |\n|---|---|---|---|---|---|\n")
	slices.SortFunc(list, func(a, b happened) int {
		place := func(o happened) int {
			return slices.IndexFunc(happenings, func(h happening) bool { return h.name == o.name })
		}
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.networks, b.networks))
	})
	for _, o := range list {
		then, again := "", ""
		if o.over != nil {
			then = ms(o.after)
		}
		if o.path == "relayed" {
			again = ms(o.directAgain)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", o.name, o.networks, ms(o.during), o.path, then, again)
	}
}

// roundTrip is that between the two hosts: over both wires and back.
func (c cell) roundTrip() time.Duration { return 4 * c.latency }

// square writes the cells of kinds against kinds.
func square(b *bytes.Buffer, table []entry, show func(entry) string) {
	at := make(map[[2]string]entry)
	for _, e := range table {
		if !e.together && e.latency == 0 {
			at[[2]string{e.a.name, e.b.name}] = e
		}
	}
	b.WriteString("| from \\ to |")
	for _, k := range kinds {
		fmt.Fprintf(b, " %s |", k.name)
	}
	b.WriteString("\n|" + strings.Repeat("---|", len(kinds)+1) + "\n")
	for _, from := range kinds {
		fmt.Fprintf(b, "| %s |", from.name)
		for _, to := range kinds {
			e, text := at[[2]string{from.name, to.name}], "**not delivered**"
			if len(e.runs) > 0 {
				text = show(e)
			}
			fmt.Fprintf(b, " %s |", text)
		}
		b.WriteByte('\n')
	}
}

// brief is a cell's path and times.
func (e entry) brief() string {
	counts := make(map[string]int)
	for _, o := range e.runs {
		counts[o.last]++
	}
	var paths []string
	for _, p := range []string{"direct", "punched", "relayed", ""} {
		switch n := counts[p]; {
		case n == 0:
		case p == "":
			paths = append(paths, "unknown")
		case n == len(e.runs):
			paths = append(paths, p)
		default:
			paths = append(paths, fmt.Sprintf("%s %d×", p, n))
		}
	}
	text := strings.Join(paths, ", ") + " " + ms(time.Duration(e.median(func(o outcome) int { return int(o.delivered) })))
	relayed := 0
	for _, o := range e.runs {
		if o.first == "relayed" && direct(o.last) {
			relayed++
		}
	}
	if 2*relayed > len(e.runs) {
		text += " (" + ms(time.Duration(e.median(func(o outcome) int { return int(o.reached) }))) + ")"
	}
	if e.direct() && e.slow() > 0 {
		text = "**" + text + "**"
	}
	return text
}

func (e entry) slowest() (longest time.Duration) {
	for _, o := range e.runs {
		longest = max(longest, o.reached)
	}
	return longest
}

func ms(d time.Duration) string {
	if d >= 10*time.Second {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	if d >= time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
