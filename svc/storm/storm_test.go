package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"earshot/protocol/classic/classictest"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/engine"
)

// After any storm of logins, logouts, crashes, cut cables, changes and restarts
// of the coordinator, the roster is who is there, and every client's own copy
// equals it.
func TestEveryRosterIsTheCoordinators(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(w *world) {
				s := &storm{world: w, Rand: rand.New(rand.NewPCG(seed, 1)), books: make(map[int]*classictest.Client), away: make(map[netip.Addr]bool)}
				s.people()
				s.rage(250)
				s.calm()
				s.check()
				s.end()
			})
		})
	}
}

// storm is one schedule.
type storm struct {
	*world
	*rand.Rand
	devices []*device
	books   map[int]*classictest.Client // textbook programs that run, by host
	away    map[netip.Addr]bool         // hosts whose cable is out
	removed []*device                   // taken off their accounts
	names   int
}

const (
	people       = 14
	secondOf     = 5 // so many have a second device
	classicHosts = 6
)

// people makes accounts, each of which has its devices already.
func (s *storm) people() {
	s.sim.Latency(time.Duration(s.IntN(30)) * time.Millisecond)
	for i := range people + secondOf {
		d := &device{
			world: s.world, name: fmt.Sprintf("人%d", i%people), key: identity.NewKey(),
			addr: netip.AddrFrom4([4]byte{10, 1, 0, byte(1 + i)}),
		}
		s.devices = append(s.devices, d)
		s.join(d)
	}
}

func (s *storm) join(d *device) {
	_, _ = s.accounts.AddDevice(context.Background(), d.name, engine.Device{Key: d.key.Public(), Label: d.addr.String()})
}

// rage has so many things happen, mostly one on the heels of the other.
func (s *storm) rage(steps int) {
	for range steps {
		switch n := s.IntN(100); {
		case n < 20:
			s.textbook(s.IntN(classicHosts))
		case n < 22:
			s.restart()
		default:
			s.trouble(s.devices[s.IntN(len(s.devices))])
		}
		settle(time.Duration(s.ExpFloat64() * float64(40*time.Millisecond)))
		if s.IntN(15) == 0 {
			settle(time.Duration(s.IntN(90_000)) * time.Millisecond)
		}
	}
}

// trouble has something happen to a device.
func (s *storm) trouble(d *device) {
	if !d.runs() {
		d.start()
		return
	}
	switch s.IntN(10) {
	case 0:
		d.stop()
	case 1: // its power goes, and nobody is told; the program may start again at once
		s.sim.Kill(d.addr)
		delete(s.away, d.addr)
		d.stop()
		if s.IntN(2) == 0 {
			d.start()
		}
	case 2, 3:
		s.away[d.addr] = !s.away[d.addr]
		s.sim.Down(d.addr, s.away[d.addr])
	case 4:
		s.sim.CutTCP(d.addr)
	case 5:
		d.client.Kick()
	case 6:
		if i := slices.Index(s.removed, d); i >= 0 {
			s.removed = slices.Delete(s.removed, i, i+1)
			s.join(d)
		} else {
			s.removed = append(s.removed, d)
			_ = s.accounts.RemoveDevice(context.Background(), d.name, d.key.Public())
		}
	default:
		d.say(&wire.Status{
			Presence: wire.Presence(1 + s.IntN(4)), Text: fmt.Sprint(s.IntN(1000)), Department: []string{"", "实验室"}[s.IntN(2)],
		})
	}
}

// textbook has a classic program come or go. None comes under the same name
// twice, and a host keeps its dialect, so that what is left of one program
// can't be taken for the next one's.
func (s *storm) textbook(host int) {
	if c := s.books[host]; c != nil {
		delete(s.books, host)
		if s.IntN(3) == 0 {
			c.Crash()
		} else if err := c.Logout(s.Context()); err != nil {
			s.Error(err)
		}
		return
	}
	s.names++
	at := netip.AddrFrom4([4]byte{10, 2, 0, byte(1 + host)})
	c := classictest.NewClient(s.sim.Host(at), fmt.Sprintf("书%d", s.names), classictest.Dialects[host%3], s.at)
	s.Cleanup(c.Crash)
	if err := c.Listen(s.Context()); err != nil {
		s.Fatal(err)
	}
	if err := c.SendLogin(s.Context()); err != nil {
		s.Fatal(err)
	}
	s.books[host] = c
}

// restart starts the coordinator anew. Textbook programs never notice, so their
// people close them.
func (s *storm) restart() {
	for _, c := range s.books {
		c.Crash()
	}
	clear(s.books)
	s.world.restart(s.IntN(2) == 0)
}

// calm ends all trouble, and waits for as long as anybody may take to notice.
func (s *storm) calm() {
	for _, d := range s.devices {
		s.sim.Down(d.addr, false)
	}
	for _, d := range s.removed {
		s.join(d)
	}
	settle(3 * time.Minute)
	for _, d := range s.devices {
		if d.runs() {
			d.client.Kick() // as when the person looks: who was refused tries again
		}
	}
	settle(3 * time.Minute)
}

// check compares everybody with the coordinator, and that with the truth.
func (s *storm) check() {
	users, _ := s.now.Roster().Snapshot()
	var all []*wire.User
	var names, reachable, want []string
	for _, u := range users {
		all = append(all, u.Wire())
		names = append(names, u.Name)
		if u.Endpoint.IsValid() {
			reachable = append(reachable, u.Name)
		}
	}
	for _, d := range s.devices {
		if account := s.visible(d.name); account && !slices.Contains(want, d.name) {
			want = append(want, d.name)
		}
	}
	for _, c := range s.books {
		want = append(want, c.Name())
	}
	slices.Sort(names)
	slices.Sort(reachable)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		s.Errorf("the roster is %v, and there are %v", names, want)
	}
	truth := lines(all)
	for _, d := range s.devices {
		if !d.runs() {
			continue
		}
		online, view := d.sees()
		if !online {
			s.Errorf("%s at %v is not online", d.name, d.addr)
		} else if !slices.Equal(view, truth) {
			s.Errorf("%s at %v sees\n%q, the roster is\n%q", d.name, d.addr, view, truth)
		}
	}
	for _, c := range s.books {
		if err := c.Died(); err != nil {
			s.Errorf("%s: %v", c.Name(), err)
		}
		if got := c.Names(); !slices.Equal(got, reachable) {
			s.Errorf("%s sees %v, and could reach %v", c.Name(), got, reachable)
		}
	}
}

// visible says whether somebody is to be on the roster: with a device that
// runs, and by what one of them said last.
func (s *storm) visible(name string) bool {
	i := slices.IndexFunc(s.devices, func(d *device) bool { return d.name == name && d.runs() })
	if i < 0 {
		return false
	}
	u, shown := s.now.Roster().Lookup(name)
	if shown {
		return u.Secure != nil
	}
	// Whoever is invisible has said so, at a device that may have gone since.
	return !slices.ContainsFunc(s.devices, func(d *device) bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.name == name && d.status.GetPresence() == wire.Presence_PRESENCE_INVISIBLE
	})
}

func (s *storm) end() {
	for _, d := range s.devices {
		if d.runs() {
			d.stop()
		}
	}
	for _, c := range s.books {
		c.Crash()
	}
}
