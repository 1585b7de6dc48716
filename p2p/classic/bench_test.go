package classic

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/time/rate"

	"earshot/p2p"
	"earshot/protocol/classic"
	"earshot/protocol/classic/classictest"
	"earshot/protocol/hostnet"
)

// BenchmarkTalkRoundTrip is a message to another client of ours and its answer,
// over loopback, until the answer is reported; beside the floor, the same two
// datagrams through bare sockets. The limits that keep a row of messages from
// being dropped are off.
func BenchmarkTalkRoundTrip(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		echo := listenLoopback(b)
		go func() {
			buf := make([]byte, 2048)
			for {
				n, from, err := echo.ReadFrom(buf)
				if err != nil {
					return
				}
				_, _ = echo.WriteTo(buf[:n], from)
			}
		}()
		conn, err := net.Dial("udp", echo.LocalAddr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		datagram := classic.UTF16LE.Append(nil, classic.Talk{Time: "12:00:00", Sender: "Ann", Text: "How are you?"}.String())
		buf := make([]byte, 2048)
		for b.Loop() {
			if _, err := conn.Write(datagram); err != nil {
				b.Fatal(err)
			}
			if _, err := conn.Read(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("transport", func(b *testing.B) {
		server := classictest.NewServer(hostnet.OS, netip.MustParseAddrPort("127.0.0.1:0"))
		if err := server.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(server.Close)
		var answering sync.WaitGroup
		b.Cleanup(answering.Wait) // once bo has ended
		ann, annEvents := loopbackPeer(b, server.Address(), "Ann")
		bo, boEvents := loopbackPeer(b, server.Address(), "Bo")
		person := awaitPerson(annEvents, "Bo")
		back := p2p.Person{Name: "Ann", Addr: ann.machine.self}
		answering.Go(func() {
			for e := range boEvents {
				if _, talk := e.(p2p.Received); !talk {
					continue
				}
				_ = sendText(b.Context(), bo, back, "Fine")
			}
		})
		for b.Loop() {
			if err := sendText(b.Context(), ann, person, "How are you?"); err != nil {
				b.Fatal(err)
			}
			<-annEvents
		}
	})
}

// loopbackPeer is a client that is online; its messages, and whoever comes, are
// on the channel.
func loopbackPeer(b *testing.B, server netip.AddrPort, name string) (*Transport, chan p2p.Event) {
	t, err := New(Config{Net: hostnet.OS, Server: server.String(), Name: name})
	if err != nil {
		b.Fatal(err)
	}
	t.outlets.rate, t.rates.rate = rate.Inf, rate.Inf
	online := make(chan struct{})
	events := make(chan p2p.Event, 16)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(events)
		_ = t.Run(ctx, func(e p2p.Event) {
			switch e.(type) {
			case p2p.Connected:
				close(online)
			case p2p.Received, p2p.Came:
				events <- e
			}
		})
	}()
	b.Cleanup(func() { cancel(); <-done })
	<-online
	return t, events
}

func awaitPerson(events chan p2p.Event, name string) p2p.Person {
	for e := range events {
		if came, ok := e.(p2p.Came); ok && came.Person.Name == name {
			return came.Person
		}
	}
	panic("no more events")
}

func listenLoopback(b *testing.B) net.PacketConn {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return c
}
