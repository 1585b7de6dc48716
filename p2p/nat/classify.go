package nat

import (
	"net/netip"
	"slices"
)

// classify says what the questions of a round, and their answers, mean. local
// are the socket's own addresses. over says that no more answers will come, so
// that those are news, too, which are missing.
func classify(questions []*question, local []netip.AddrPort, over bool) Report {
	four, six := judge(questions, local, true, over), judge(questions, local, false, over)
	r := four
	if !four.asked || four.kind == Blocked && six.at.IsValid() {
		r = six
	}
	return Report{Kind: r.kind, Filtering: r.filtering, Hops: r.hops, V4: four.at, V6: six.at}
}

// verdict is about one address family.
type verdict struct {
	asked     bool
	at        netip.AddrPort
	kind      Kind
	filtering Filtering
	hops      uint8
}

// judge looks at one family. Without answers everything is unknown but that: it
// is blocked.
func judge(questions []*question, local []netip.AddrPort, four, over bool) (v verdict) {
	var seen []netip.AddrPort // in the order of the ports
	refused := false
	for _, q := range questions {
		if q.to.Addr().Is4() != four {
			continue
		}
		v.asked = true
		if q.purpose == forBinding && q.answered {
			seen = append(seen, q.seen)
		}
		refused = refused || q.refused
	}
	switch {
	case !v.asked:
		return v
	case len(seen) == 0 && refused:
		return v // it did come back
	case len(seen) == 0:
		v.kind = Blocked
		return v
	}
	v.at = seen[0]
	same := !slices.ContainsFunc(seen, func(at netip.AddrPort) bool { return at != seen[0] })
	switch {
	case !same:
		v.kind = Hard
	case slices.Contains(local, seen[0]):
		v.kind = None
	case len(seen) > 1:
		v.kind = Easy
	}
	v.filtering = filtering(questions, four, over)
	v.hops = hops(questions, four, over)
	return v
}

// filtering is what the question for an answer from another port says. That
// nothing came back means something only since the same port answered else. An
// answer through a port that was asked, too, means nothing.
func filtering(questions []*question, four, over bool) Filtering {
	for _, q := range questions {
		if q.purpose != forOther || q.to.Addr().Is4() != four || q.refused || !answers(questions, q.to) {
			continue
		}
		asked := slices.ContainsFunc(questions, func(o *question) bool { return o.to == q.via })
		switch {
		case q.answered && !asked:
			return Open
		case over && !q.answered && !q.unsent():
			return Restricted
		}
	}
	return FilteringUnknown
}

// hops is by how many routers the coordinator is away: with a TTL of n a datagram
// gets through n-1.
func hops(questions []*question, four, over bool) uint8 {
	known, reached := false, MaxHops+1
	for _, q := range questions {
		if q.purpose != forHops || q.to.Addr().Is4() != four || q.unsent() || !answers(questions, q.to) {
			continue
		}
		known = true
		if q.answered {
			reached = min(reached, q.ttl)
		}
	}
	if !known || !over && reached > MaxHops {
		return 0
	}
	return uint8(reached - 1)
}

// answers says whether a port answers a plain question.
func answers(questions []*question, to netip.AddrPort) bool {
	return slices.ContainsFunc(questions, func(q *question) bool {
		return q.purpose == forBinding && q.answered && q.to == to
	})
}
