//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/p2p/secure"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
)

// BenchmarkSessions is the memory of a headless client, alone and while a
// hundred people have just written to it, each over a session of its own.
func BenchmarkSessions(b *testing.B) {
	for _, sessions := range []int{0, 100} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			c := startCoordinator(b)
			ann := newClient(b, c, "Ann")
			ann.start(b)
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				stop := writers(b, c, sessions, i)
				b.StopTimer() // how long it takes says nothing
				folder := fmt.Sprintf("/proc/%d", ann.cmd.Process.Pid)
				b.ReportMetric(float64(status(folder, "VmRSS"))/1024, "MB-resident")
				b.ReportMetric(float64(status(folder, "RssAnon"))/1024, "MB-own")
				stop()
				b.StartTimer()
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// writers are people who have each sent Ann a message that she has, and whose
// sessions stand until stop.
func writers(b *testing.B, c *coordinator, n, round int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	stored := make(chan error, n)
	for i := range n {
		w := &writer{stored: stored}
		t, err := secure.New(secure.Config{
			Net: hostnet.OS, Host: c.addr.Addr().String(), Port: c.addr.Port(), Pins: new(noPins), Key: identity.NewKey(),
			Name: fmt.Sprintf("Writer %d of round %d", i, round), Label: "desk", Program: "bench",
			Resolve: func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{c.addr.Addr()}, nil },
		})
		if err != nil {
			b.Fatal(err)
		}
		w.t = t
		running.Go(func() { _ = t.Run(ctx, w.on) })
	}
	for range n {
		select {
		case err := <-stored:
			if err != nil {
				b.Fatal(err)
			}
		case <-time.After(patience):
			b.Fatal("the messages are not stored")
		}
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// writer is somebody who writes to Ann as soon as she is there.
type writer struct {
	t      *secure.Transport
	stored chan<- error
	once   sync.Once
}

func (w *writer) on(e p2p.Event) {
	see := func(p p2p.Person) {
		if p.Name != "Ann" || !p.Secure() {
			return
		}
		w.once.Do(func() {
			id := identity.NewKey().Public()
			item := p2p.Item{ID: p2p.ItemID(id[:16]), At: time.Now(), Body: p2p.Text{Text: "hello"}}
			w.t.Send(p2p.Target{Person: p, Device: p.Devices[0].Key}, item, func(err error) { w.stored <- err })
		})
	}
	switch e := e.(type) {
	case p2p.Connected:
		for _, p := range e.Roster {
			see(p)
		}
	case p2p.Came:
		see(e.Person)
	case p2p.Received:
		if e.Done != nil {
			e.Done(nil)
		}
	}
}

// noPins has met no coordinator.
type noPins struct{}

func (*noPins) Load() (secure.Pin, bool) { return secure.Pin{}, false }
func (*noPins) Save(secure.Pin) error    { return nil }
