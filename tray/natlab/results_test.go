//go:build linux

package natlab

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// document is RESULTS.md.
func document(table []entry, times int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Through every NAT

Made by `+"`make nat-matrix`"+`: the shipped programs in network namespaces, each network behind the kernel's own NAT. The row
sends, the column receives. Both have just come online and have never talked; one clicks, and the time is that until
the message is *delivered*: stored by the other one's program. Each cell was run %d times, and the figures are medians.

| network | what it is |
|---|---|
`, times)
	for _, k := range kinds {
		fmt.Fprintf(&b, "| %s | %s |\n", k.name, k.says)
	}
	b.WriteString("\n## Path and time to delivered\n\n")
	square(&b, table, entry.brief)
	b.WriteString("\nA path is *direct* (an address of the device's own, or a port that its router has opened), *punched*, or *relayed*;\n" +
		"what could be direct and wasn't, or not within 3 s, is **bold**. Where a time follows in brackets, the message went by the\nrelay, and the path was there after that time.\n")
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
	return b.Bytes()
}

// distances are the cells with a latency.
func distances(b *bytes.Buffer, table []entry) {
	b.WriteString("\n## At a distance\n\nWith a latency on the wires. The time is that from the introduction to the direct path, and the promise three round\n" +
		"trips between the two and 50 ms.\n\n| from | to | round trip | path, time to delivered | introduction to path | promise |\n|---|---|---|---|---|---|\n")
	for _, e := range table {
		if e.latency == 0 || len(e.runs) == 0 {
			continue
		}
		after, promise := "", ""
		if e.direct() {
			after = ms(time.Duration(e.median(func(o outcome) int { return int(o.after) })))
			promise = ms(3*e.roundTrip() + 50*time.Millisecond)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", e.a.name, e.b.name, ms(e.roundTrip()), e.brief(), after, promise)
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
