package classic

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p"
	"earshot/protocol/classic"
	"earshot/protocol/hostnet"
)

// Ten thousand random and mutated datagrams leave the login and the roster as
// they were.
func TestMutatedDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		startServer(t, sim)
		ann := startPeer(t, sim, "10.0.0.2", "Ann", classic.UTF16LE)
		self := ann.online().Self.Addr
		bo := startPeer(t, sim, "10.0.0.3", "Bo", classic.UTF16LE)
		bo.online()
		person := ann.came("Bo")
		socket, err := sim.Host(netip.MustParseAddr("10.0.0.66")).ListenPacket(t.Context(), netip.MustParseAddrPort("10.0.0.66:7"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { socket.Close() })
		r := rand.New(rand.NewPCG(1, 2))
		texts := []string{"login,Bo,10.0.0.66:1", "logout,Bo," + person.Addr.String(), "talk,1,Bo,x", "Accept,80", "Refused,no", "qunliao,1,Bo,x", ""}
		encodings := []classic.Encoding{classic.UTF16LE, classic.UTF8, classic.GB18030}
		for i := range 10_000 {
			d := encodings[i%3].Append(nil, texts[r.IntN(len(texts))])
			for range r.IntN(4) {
				d = append(d, byte(r.Uint32()))
				d[r.IntN(len(d))] = byte(r.Uint32())
			}
			if _, err := socket.WriteTo(d, net.UDPAddrFromAddrPort(self)); err != nil {
				t.Fatal(err)
			}
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		time.Sleep(time.Minute)
		if err := bo.Send(t.Context(), p2p.Person{Name: "Ann", Addr: self}, "still there"); err != nil {
			t.Fatal(err)
		}
		if got := ann.received("still there"); !got.Known {
			t.Errorf("%+v: Bo's entry was changed", got)
		}
	})
}

// Run ends whenever it is told to, and leaves no goroutine: synctest fails if
// one stays.
func TestCancelAtAnyTime(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 300 * time.Millisecond, 5 * time.Second, time.Minute} {
		for _, served := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				sim := hostnet.NewSim()
				if served {
					startServer(t, sim)
				}
				ann := startPeer(t, sim, "10.0.0.2", "Ann", classic.UTF16LE)
				time.Sleep(after)
				began := time.Now()
				if err := ann.stop(); err != nil || time.Since(began) > time.Second {
					t.Errorf("after %v: %v, in %v", after, err, time.Since(began))
				}
			})
		}
	}
}
