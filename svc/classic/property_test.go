package classic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"earshot/protocol/classic/classictest"
)

// Whatever the order in which people come, leave and crash, in whatever
// dialect: when it is quiet again everybody's own copy of the list is the
// roster, nobody on it twice.
func TestEveryViewIsTheRoster(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			pause, hosts := 30*time.Millisecond, 25
			if seed%8 == 7 { // one rush after the other
				pause, hosts = time.Millisecond, 150
			}
			inLAN(t, func(l *lan) { schedule(l, rand.New(rand.NewPCG(seed, seed)), pause, hosts) })
		})
	}
}

func schedule(l *lan, r *rand.Rand, pause time.Duration, hosts int) {
	l.sim.Latency(time.Duration(r.IntN(40)) * time.Millisecond)
	online := make(map[int]*classictest.Client) // by host
	for step := range 200 + 4*(hosts-25) {
		host := r.IntN(hosts)
		c := online[host]
		switch {
		case c == nil:
			// A host keeps its dialect: if a program ends in the middle of its
			// login and another one takes its place at once, nothing tells whose
			// raw text connection comes, and in which encoding to answer it.
			d := classictest.Dialects[host%3]
			var options []classictest.Option
			if d != classictest.DotNet && r.IntN(2) == 0 {
				options = append(options, classictest.HoldConnection())
			}
			c = l.client(host, fmt.Sprintf("人%d-%d", host, step), d, options...)
			if err := c.Listen(l.Context()); err != nil {
				l.Fatal(err)
			}
			if err := c.SendLogin(l.Context()); err != nil {
				l.Fatal(err)
			}
			online[host] = c
		case r.IntN(3) == 0:
			c.Crash()
			delete(online, host)
		default:
			if err := c.Logout(l.Context()); err != nil {
				l.Fatal(err)
			}
			delete(online, host)
		}
		// Mostly one on the heels of the other, sometimes with a pause.
		l.settle(time.Duration(r.ExpFloat64() * float64(pause)))
		if r.IntN(20) == 0 {
			l.settle(time.Duration(r.IntN(5000)) * time.Millisecond)
		}
	}
	l.settle(20 * time.Second)
	var want []string
	users, _ := l.roster.Snapshot()
	for _, u := range users {
		want = append(want, u.Name)
	}
	slices.Sort(want)
	if len(want) != len(online) {
		l.Errorf("%d are on the roster, %d are online", len(want), len(online))
	}
	for _, c := range online {
		if err := c.Died(); err != nil {
			l.Errorf("%s: %v", c.Name(), err)
		}
		if got := c.Names(); !slices.Equal(got, want) {
			l.Errorf("%s sees %v, the roster is %v", c.Name(), got, want)
		}
	}
}
