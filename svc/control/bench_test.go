//go:build unix

package control

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/roster"
	"earshot/svc/rush"
)

// cpu is the processor time that this process has used, without its crowd's.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// inUse is the memory in use, with the stacks of goroutines, in bytes.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// newcomer is the user whose coming and going is told.
func newcomer() roster.User {
	key := identity.NewKey().Public()
	return roster.User{Name: "newcomer", Secure: &roster.Secure{
		Status:  roster.Status{Presence: wire.Presence_PRESENCE_ONLINE},
		Devices: []roster.Device{{Key: key, Label: "laptop", Online: true, Candidates: []roster.Candidate{{Address: netip.MustParseAddrPort("10.0.0.7:7000")}}}},
	}}
}

// BenchmarkFanout is the cost of telling N clients that somebody came or left;
// its floor is a bare TLS write of as many bytes to each of N connections. Both
// report the processor time of each change at each client, and when half and
// nearly all clients had it (p50, p99) after a quiet moment. A burst is a
// hundred changes at once.
func BenchmarkFanout(b *testing.B) {
	const burst = 100
	for _, n := range []int{1000, 2000} {
		b.Run(fmt.Sprint(n, "/floor"), func(b *testing.B) {
			conns, c := connected(b, n)
			frame := newcomerFrame(b)
			sequence := uint64(0)
			fanout(b, n, 1, func(until func(uint64)) {
				sequence++
				until(sequence)
				for _, conn := range conns {
					if _, err := conn.Write(frame); err != nil {
						b.Fatal(err)
					}
				}
			}, c)
		})
		b.Run(fmt.Sprint(n, "/coordinator"), func(b *testing.B) {
			s := benchServer(b)
			c := s.loggedIn(n)
			user, there := newcomer(), false
			change := func() {
				if there = !there; !there {
					s.roster.Leave(user.ID)
					return
				}
				var err error
				if user, _, err = s.roster.Add(user); err != nil {
					b.Fatal(err)
				}
			}
			for _, changes := range []int{1, burst} {
				b.Run(fmt.Sprint("changes=", changes), func(b *testing.B) {
					fanout(b, n, changes, func(until func(uint64)) {
						_, at := s.roster.Snapshot()
						until(at.Seq + uint64(changes))
						for range changes {
							change()
						}
					}, c)
				})
			}
		})
	}
}

// fanout measures change, which says up to where everybody is to know
// the roster before it makes that come about.
func fanout(b *testing.B, n, changes int, change func(until func(uint64)), c *crowd) {
	var start time.Time
	var half, most time.Duration
	before := cpu(b)
	for b.Loop() {
		b.StopTimer()
		<-time.After(rush.Round(n)) // so that nobody was written to just now
		b.StartTimer()
		change(func(sequence uint64) {
			c.do("until %d", sequence)
			start = time.Now()
		})
		h, m, _ := c.knew()
		half += h.Sub(start)
		most += m.Sub(start)
	}
	used, delivered := cpu(b)-before, float64(n)*float64(changes)*float64(b.N)
	b.ReportMetric(float64(used)/delivered, "cpu-ns/delivered")
	b.ReportMetric(delivered/used.Seconds(), "deltas/cpu-s")
	b.ReportMetric(float64(half.Microseconds())/float64(b.N), "p50-µs")
	b.ReportMetric(float64(most.Microseconds())/float64(b.N), "p99-µs")
}

// newcomerFrame is a Delta's frame.
func newcomerFrame(b *testing.B) []byte {
	r := roster.New()
	_, at := r.Snapshot()
	if _, _, err := r.Add(newcomer()); err != nil {
		b.Fatal(err)
	}
	frame, _, err := r.Frames(at)
	if err != nil {
		b.Fatal(err)
	}
	return frame
}

// BenchmarkStorm is a coordinator that has started anew, until every one of N
// clients has logged in and knows all others; its floor is as many TLS
// handshakes with proofs of both keys. The clients are another process on the
// same processors; cpu is the coordinator's own share, and all the time that
// passes.
func BenchmarkStorm(b *testing.B) {
	b.Run("2000/floor", func(b *testing.B) {
		storms(b, func() time.Duration {
			before := cpu(b)
			conns, c := connected(b, 2000)
			used := cpu(b) - before
			b.StopTimer()
			c.end()
			for _, conn := range conns {
				conn.Close()
			}
			b.StartTimer()
			return used
		})
	})
	for _, n := range []int{1000, 2000, 5000} {
		b.Run(fmt.Sprint(n, "/coordinator"), func(b *testing.B) {
			storms(b, func() time.Duration {
				b.StopTimer()
				s, c := benchServer(b), startCrowd(b)
				c.do("keys %d", n)
				c.do("until %d", n) // everybody's coming is one change
				before := cpu(b)
				b.StartTimer()
				c.tell("login %d %v", n, s.addr)
				c.knew()
				b.StopTimer()
				used := cpu(b) - before
				c.end()
				s.stop()
				b.StartTimer()
				return used
			})
		})
	}
}

// storms reports what the storms of a benchmark have used.
func storms(b *testing.B, storm func() time.Duration) {
	var used time.Duration
	for b.Loop() {
		used += storm()
	}
	b.ReportMetric(float64(used.Milliseconds())/float64(b.N), "cpu-ms/storm")
}

// BenchmarkStatusStorm is N clients of whom one hundred a second, and five hundred,
// change their status one after the other: the processor time of each
// change at each client while it goes on.
func BenchmarkStatusStorm(b *testing.B) {
	for _, n := range []int{1000, 2000, 5000} {
		for _, rate := range []int{100, 500} {
			b.Run(fmt.Sprint(n, "/per-second=", rate), func(b *testing.B) {
				s := benchServer(b)
				c := s.loggedIn(n)
				users, _ := s.roster.Snapshot()
				changes := rate // for a second
				before, texts := cpu(b), 0
				for b.Loop() {
					_, at := s.roster.Snapshot()
					c.do("until %d", at.Seq+uint64(changes))
					tick := time.NewTicker(time.Second / time.Duration(rate))
					for i := range changes {
						<-tick.C
						texts++
						s.roster.Update(users[i%n].ID, func(u *roster.User) {
							secure := *u.Secure
							secure.Status.Text = fmt.Sprint(texts)
							u.Secure = &secure
						})
					}
					tick.Stop()
					c.knew()
				}
				used := cpu(b) - before
				b.ReportMetric(float64(used)/float64(b.N)/float64(n)/float64(changes), "cpu-ns/delivered")
			})
		}
	}
}

// BenchmarkNewcomer is one login among N who are there, from the Hello until
// everybody is known.
func BenchmarkNewcomer(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := benchServer(b)
			for i := range n {
				user := newcomer()
				user.Name = fmt.Sprint("user ", i)
				if _, _, err := s.roster.Add(user); err != nil {
					b.Fatal(err)
				}
			}
			config := identity.ClientTLS(identity.NewKey().Certificate(), identity.ALPNControl, nil)
			hello := wire.Append(nil, &wire.ToCoordinator{Body: &wire.ToCoordinator_Hello{Hello: (&client{name: "newcomer"}).hello()}})
			for b.Loop() {
				b.StopTimer()
				raw, err := hostnet.OS.Dial(b.Context(), s.addr)
				if err != nil {
					b.Fatal(err)
				}
				conn := tls.Client(raw, config)
				if err := conn.Handshake(); err != nil {
					b.Fatal(err)
				}
				whole := &crowdMembers{reached: make(chan struct{}, 1), all: 1}
				whole.target.Store(1)
				var following sync.WaitGroup
				following.Go(func() { whole.follow(conn, true) })
				b.StartTimer()
				if _, err := conn.Write(hello); err != nil {
					b.Fatal(err)
				}
				<-whole.reached
				b.StopTimer()
				raw.Close()
				following.Wait()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkIdleMemory is what one client that does nothing costs the
// coordinator; its floor is a bare TLS connection with a goroutine that reads.
func BenchmarkIdleMemory(b *testing.B) {
	const n = 1000
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			before := inUse()
			conns, c := connected(b, n)
			var reading sync.WaitGroup
			for _, conn := range conns {
				reading.Go(func() { _, _ = conn.Read(make([]byte, 1)) })
			}
			b.ReportMetric(float64(inUse()-before)/n/1000, "kB/client")
			c.end()
			reading.Wait()
		}
	})
	b.Run("coordinator", func(b *testing.B) {
		for b.Loop() {
			s := benchServer(b)
			before := inUse()
			c := s.loggedIn(n)
			b.ReportMetric(float64(inUse()-before)/n/1000, "kB/client")
			c.end()
			s.stop()
		}
	})
}

// benchServer is a server without limits on the loopback interface.
func benchServer(b *testing.B) *bed {
	b.Helper()
	return serve(b, hostnet.OS, loopback, func(c *Config) {
		c.Log = nil
		c.Limits = Limits{MaxConnectionsPerAddress: 1e5, MaxHandshakesPerAddress: 1e5, LoginsPerSecondPerAddress: 1e6}
	})
}

// loggedIn is a crowd of n, everybody of which knows everybody.
func (bed *bed) loggedIn(n int) *crowd {
	c := startCrowd(bed.TB.(*testing.B))
	_, at := bed.roster.Snapshot()
	c.do("until %d", at.Seq+uint64(n))
	c.tell("login %d %v", n, bed.addr)
	c.knew()
	return c
}

// connected is a crowd with n bare TLS connections, and their other ends.
func connected(b *testing.B, n int) ([]*tls.Conn, *crowd) {
	b.Helper()
	l, err := hostnet.OS.Listen(b.Context(), loopback)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	config := identity.ServerTLS(identity.NewKey().Certificate(), identity.ALPNControl, nil)
	conns := make([]*tls.Conn, n)
	var shaking sync.WaitGroup
	shaking.Go(func() {
		for i := range n {
			raw, err := l.Accept()
			if err != nil {
				b.Error(err)
				return
			}
			conns[i] = tls.Server(raw, config)
			shaking.Go(func() { _ = conns[i].Handshake() })
		}
	})
	c := startCrowd(b)
	c.do("connect %d %v", n, hostnet.AddrPort(l.Addr()))
	shaking.Wait()
	b.Cleanup(func() {
		for _, conn := range conns {
			conn.Close()
		}
	})
	return conns, c
}
