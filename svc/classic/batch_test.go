package classic

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	wire "earshot/protocol/classic"
	"earshot/protocol/hostnet"
	"earshot/svc/roster"
)

// said are a batch's messages as they are sent, and its parts are what
// WriteSegments takes.
func said(t *testing.T, b *batch, e wire.Encoding) (all []string) {
	t.Helper()
	for _, p := range b.parts {
		if len(p.buf) > hostnet.MaxSegmentBytes || len(p.buf) > hostnet.MaxSegments*p.size || len(p.buf)%p.size != 0 {
			t.Fatalf("a part of %d bytes of %d each", len(p.buf), p.size)
		}
		for datagram := range slices.Chunk(p.buf, p.size) {
			text, err := e.Decode(datagram)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text)
		}
	}
	return all
}

// Whatever happened, a batch says all of it once, and what is said of one name,
// and of one endpoint, in the order in which it happened.
func TestBatch(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		var changes []roster.Change
		var want []string
		for range 1 + r.IntN(400) {
			c := roster.Change{Kind: roster.Kind(r.IntN(3)), User: roster.User{
				ID: r.Uint64(), Name: strings.Repeat("名", 1+r.IntN(3)) + fmt.Sprint(r.IntN(30)),
				Endpoint: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(20))}), 7),
			}}
			c.Was = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(200))}), 7)
			changes = append(changes, c)
			for _, m := range messages(c) {
				want = append(want, m.String())
			}
		}
		for _, e := range []wire.Encoding{wire.UTF16LE, wire.UTF8, wire.GB18030} {
			b := newBatch(changes, e)
			got := said(t, b, e)
			if b.messages != len(want) || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
				t.Fatalf("seed %d: %d messages came out as %d others", seed, len(want), len(got))
			}
			for _, field := range []int{1, 2} { // of verb,name,endpoint
				inOrder(t, seed, field, got, want)
			}
		}
	}
}

// inOrder compares what is said of each name, or of each endpoint.
func inOrder(t *testing.T, seed uint64, field int, got, want []string) {
	t.Helper()
	by := func(all []string) map[string][]string {
		of := make(map[string][]string)
		for _, m := range all {
			key := strings.Split(m, ",")[field]
			of[key] = append(of[key], m)
		}
		return of
	}
	was, is := by(want), by(got)
	for key := range was {
		if !slices.Equal(was[key], is[key]) {
			t.Fatalf("seed %d: of %s was said\n%q, want\n%q", seed, key, is[key], was[key])
		}
	}
}

// What comes in a storm leaves in few parts.
func TestBatchIsSmall(t *testing.T) {
	var changes []roster.Change
	for i := range 512 {
		endpoint := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 50000)
		changes = append(changes, roster.Change{Kind: roster.Joined, User: roster.User{ID: uint64(i), Name: fmt.Sprint("user ", i), Endpoint: endpoint}})
	}
	if b := newBatch(changes, wire.UTF16LE); len(b.parts) > 16 {
		t.Errorf("%d logins leave in %d parts", len(changes), len(b.parts))
	}
}
