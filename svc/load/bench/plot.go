//go:build linux

package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
)

// Sizes of the plot, in its own units.
const (
	plotWidth, plotHeight = 640.0, 400.0
	plotLeft, plotRight   = 70.0, 120.0
	plotTop, plotBottom   = 40.0, 50.0
)

// colours are told apart by people who don't see red or green, too.
var colours = []string{"#888888", "#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#cc79a7", "#009e73", "#000000"}

// series is a line of the plot.
type series struct {
	name   string
	points []result
}

// plot draws what a delivered change costs in a storm of sessions against the
// number of clients, both logarithmic, as SVG.
func plot(results []result) []byte {
	lines := seriesOf(results, "session storm")
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="white"/>
<text x="%g" y="22" font-size="14">Processor time to tell one client of one login or logout, in a storm of them</text>
`, plotWidth, plotHeight, plotLeft)
	if len(lines) == 0 {
		b.WriteString("</svg>\n")
		return b.Bytes()
	}
	x, y := newAxis(lines, func(r result) float64 { return float64(r.Clients) }), newAxis(lines, func(r result) float64 { return r.Each })
	x.from, x.to = plotLeft, plotWidth-plotRight
	y.from, y.to = plotHeight-plotBottom, plotTop
	for _, v := range y.ticks() {
		fmt.Fprintf(&b, `<line x1="%g" y1="%.1f" x2="%g" y2="%.1f" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end">%g µs</text>`+"\n",
			x.from, y.at(v), x.to, y.at(v), x.from-6, y.at(v)+4, v)
	}
	for _, n := range clientsOf(lines) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="middle">%d</text>`+"\n", x.at(float64(n)), y.from+18, n)
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="middle">clients</text>`+"\n", (x.from+x.to)/2, y.from+38)
	var names labels
	for i, line := range lines {
		colour := colours[i%len(colours)]
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, colour)
		for _, r := range line.points {
			fmt.Fprintf(&b, "%.1f,%.1f ", x.at(float64(r.Clients)), y.at(r.Each))
		}
		b.WriteString(`"/>` + "\n")
		for _, r := range line.points {
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x.at(float64(r.Clients)), y.at(r.Each), colour)
		}
		last := line.points[len(line.points)-1]
		at := names.place(spot{x.at(float64(last.Clients)) + 8, y.at(last.Each) + 4})
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n", at.x, at.y, colour, html.EscapeString(line.name))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// spot is a place on the plot, and labels are where names stand.
type (
	spot   struct{ x, y float64 }
	labels []spot
)

// place finds the next place below that no other name has.
func (l *labels) place(at spot) spot {
	const height = 13
	for {
		i := slices.IndexFunc(*l, func(o spot) bool { return o.x == at.x && math.Abs(o.y-at.y) < height })
		if i < 0 {
			*l = append(*l, at)
			return at
		}
		at.y = (*l)[i].y + height
	}
}

// seriesOf are the results of a scenario by server, in the order of clients.
func seriesOf(results []result, scenario string) (lines []series) {
	for _, r := range results {
		if r.Scenario != scenario || r.Each <= 0 {
			continue
		}
		i := slices.IndexFunc(lines, func(s series) bool { return s.name == r.Server })
		if i < 0 {
			i = len(lines)
			lines = append(lines, series{name: r.Server})
		}
		lines[i].points = append(lines[i].points, r)
	}
	for _, line := range lines {
		slices.SortFunc(line.points, func(a, b result) int { return a.Clients - b.Clients })
	}
	return lines
}

func clientsOf(lines []series) (all []int) {
	for _, line := range lines {
		for _, r := range line.points {
			all = append(all, r.Clients)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// axis is logarithmic, and shows low to high between two places.
type axis struct{ low, high, from, to float64 }

// newAxis holds every value with some room.
func newAxis(lines []series, value func(result) float64) axis {
	a := axis{low: math.Inf(1), high: math.Inf(-1)}
	for _, line := range lines {
		for _, r := range line.points {
			a.low, a.high = min(a.low, value(r)), max(a.high, value(r))
		}
	}
	a.low, a.high = a.low/1.2, a.high*1.2
	return a
}

func (a axis) at(v float64) float64 {
	return a.from + (a.to-a.from)*math.Log(v/a.low)/math.Log(a.high/a.low)
}

// ticks are the powers of ten, and twice and five times those.
func (a axis) ticks() (all []float64) {
	for e := math.Floor(math.Log10(a.low)); e <= math.Ceil(math.Log10(a.high)); e++ {
		for _, m := range []float64{1, 2, 5} {
			if v := m * math.Pow(10, e); v >= a.low && v <= a.high {
				all = append(all, v)
			}
		}
	}
	return all
}
