package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/protocol/wire"

	"github.com/quic-go/quic-go"
)

// intruder is a program that speaks QUIC and does what it likes.
type intruder struct {
	bed *bed
	key identity.Key
	net.PacketConn
	tr *quic.Transport
}

// intrude puts one on a host of its own, with the key of a device that others
// know if name is not empty.
func (b *bed) intrude(name, addr string) *intruder {
	b.Helper()
	i := &intruder{bed: b, key: identity.NewKey()}
	if name != "" {
		b.add(name, i.key, addr)
	}
	host := b.sim.Host(netip.MustParseAddr(addr))
	conn, err := host.ListenPacket(b.Context(), netip.AddrPortFrom(netip.MustParseAddr(addr), peerPort))
	if err != nil {
		b.Fatal(err)
	}
	i.PacketConn, i.tr = conn, &quic.Transport{Conn: conn}
	return i
}

func (i *intruder) close() {
	i.tr.Close()
	i.Close()
}

// dial connects to a device, with a stream that nothing is said on.
func (i *intruder) dial(to *peer) (*quic.Conn, *quic.Stream, error) {
	config := identity.ClientTLS(i.key.Certificate(), identity.ALPNPeer, nil)
	ctx, cancel := context.WithTimeout(i.bed.Context(), 10*time.Second)
	defer cancel()
	conn, err := i.tr.Dial(ctx, net.UDPAddrFromAddrPort(to.at[0]), config, &quic.Config{MaxIdleTimeout: time.Hour})
	if err != nil {
		return nil, nil, err
	}
	stream, err := conn.OpenStream()
	return conn, stream, err
}

// enter is dial, and a hello that is answered.
func (i *intruder) enter(to *peer, name string) (*quic.Conn, *quic.Stream) {
	i.bed.Helper()
	conn, stream, err := i.dial(to)
	if err == nil {
		_, err = stream.Write(hello(name))
	}
	if err == nil {
		err = wire.Read(stream, wire.MaxToPeer, new(wire.ToPeer))
	}
	if err != nil {
		i.bed.Fatal(err)
	}
	return conn, stream
}

// closed is why a device closed a connection, and after how long.
func closed(conn *quic.Conn) (why code, after time.Duration) {
	start := time.Now()
	<-conn.Context().Done()
	return codeOf(context.Cause(conn.Context())), time.Since(start)
}

// What breaks the protocol ends the connection that it came on, is logged, and
// disturbs nobody else.
func TestBadFrames(t *testing.T) {
	frame := func(f *wire.ToPeer) []byte { return wire.Append(nil, f) }
	item := func(i *wire.Item) []byte { return frame(&wire.ToPeer{Body: &wire.ToPeer_Item{Item: i}}) }
	long := message("x")
	long.Body = &wire.Item_Text{Text: &wire.Text{Text: strings.Repeat("x", p2p.MaxText+1)}}
	for name, bad := range map[string][]byte{
		"no protobuf":     append(binary.BigEndian.AppendUint32(nil, 3), "\xff\xff\xff"...),
		"too large":       binary.BigEndian.AppendUint32(nil, wire.MaxToPeer+1),
		"enormous":        binary.BigEndian.AppendUint32(nil, 1<<32-1),
		"second hello":    hello("Eve"),
		"item without ID": item(&wire.Item{}),
		"too long a text": item(long),
		"bad reference":   item(&wire.Item{Id: make([]byte, 16), Body: &wire.Item_Delete{Delete: &wire.Delete{Of: []byte("x")}}}),
		"bad ack":         frame(&wire.ToPeer{Body: &wire.ToPeer_Ack{Ack: &wire.Ack{Id: []byte("x")}}}),
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, time.Millisecond, func(b *bed) {
				low, high := b.pair()
				low.say(high, "before")
				eve := b.intrude("Eve", "10.0.0.66")
				defer eve.close()
				conn, stream := eve.enter(high, "Eve")
				if _, err := stream.Write(bad); err != nil {
					t.Fatal(err)
				}
				if why, after := closed(conn); why != codeMalformed || after > time.Second {
					t.Errorf("closed as %q after %v", why, after)
				}
				if !strings.Contains(high.log.String(), "a device broke the protocol") {
					t.Errorf("nothing is logged: %s", high.log.String())
				}
				low.say(high, "after")
				high.has("before", "after")
				if links := high.links(); len(links) != 1 {
					t.Errorf("%d connections", len(links))
				}
			})
		})
	}
}

// Who is not who the roster says gets in neither way: not with a key that
// nobody knows, not under somebody else's name, and not at the address of
// somebody who is called.
func TestImpostors(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		stranger := b.intrude("", "10.0.0.66")
		defer stranger.close()
		conn, stream, err := stranger.dial(high)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = stream.Write(hello("Ann"))
		if why, _ := closed(conn); why != codeStranger {
			t.Errorf("a stranger is told %q", why)
		}
		eve := b.intrude("Eve", "10.0.0.67")
		defer eve.close()
		conn, stream, err = eve.dial(high)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = stream.Write(hello("Ann"))
		if why, _ := closed(conn); why != codeName {
			t.Errorf("Eve as Ann is told %q", why)
		}
		// Eve listens where Cho is said to be.
		cho := b.add("Cho", identity.NewKey(), "10.0.0.68")
		cho.at = []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("10.0.0.67"), peerPort)}
		listener, err := eve.tr.Listen(identity.ServerTLS(eve.key.Certificate(), identity.ALPNPeer, nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		came := make(chan *quic.Conn, 100)
		go func() {
			for {
				conn, err := listener.Accept(context.Background())
				if err != nil {
					close(came)
					return
				}
				came <- conn
			}
		}()
		if err := <-low.send(cho, "the secret"); !errors.Is(err, p2p.ErrUnreachable) {
			t.Errorf("the message to an impostor: %v", err)
		}
		listener.Close()
		for conn := range came {
			if stream, err := conn.AcceptStream(t.Context()); err == nil {
				t.Errorf("an impostor was spoken to on %v", stream.StreamID())
			}
		}
		low.say(high, "to Bob")
		high.has("to Bob")
	})
}

// What two devices once sent each other, sent again, is heard by nobody.
func TestReplay(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		var mu sync.Mutex
		var tape [][]byte
		from := netip.AddrPortFrom(low.addr, peerPort)
		b.sim.Loss(func(source, _ netip.AddrPort, datagram []byte) bool {
			mu.Lock()
			defer mu.Unlock()
			if source == from {
				tape = append(tape, append([]byte(nil), datagram...))
			}
			return false
		})
		low.say(high, "one", "two")
		b.sim.Loss(nil)
		low.end()
		pauseFor(20 * time.Second)
		if n := len(high.links()); n != 0 {
			t.Fatalf("%d connections are left", n)
		}
		again, err := b.sim.Host(low.addr).ListenPacket(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		mu.Lock()
		replayed := tape
		mu.Unlock()
		if len(replayed) < 4 {
			t.Fatalf("%d datagrams were recorded", len(replayed))
		}
		for range 3 {
			for _, datagram := range replayed {
				if _, err := again.WriteTo(datagram, net.UDPAddrFromAddrPort(high.at[0])); err != nil {
					t.Fatal(err)
				}
				pauseFor(5 * time.Millisecond)
			}
		}
		pauseFor(10 * time.Second)
		high.has("one", "two")
		if n := len(high.links()); n != 0 || high.doubled != 0 {
			t.Errorf("the replay made %d connections, and %d items came again", n, high.doubled)
		}
	})
}

// Whoever connects and says nothing, or little, is gone after a while; so many
// of these leave room for others.
func TestConnectionFlood(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		eve := b.intrude("Eve", "10.0.0.66")
		defer eve.close()
		var dialling sync.WaitGroup
		var mu sync.Mutex
		in := 0
		for range 300 {
			dialling.Go(func() {
				conn, stream, err := eve.dial(high)
				if err != nil {
					return
				}
				mu.Lock()
				in++
				mu.Unlock()
				_, _ = stream.Write([]byte{0}) // the beginning of a hello
				if _, after := closed(conn); after > helloWithin+time.Second {
					t.Errorf("a connection without a hello lasted %v", after)
				}
			})
		}
		pauseFor(time.Second)
		high.e.admit.mu.Lock()
		halfs := high.e.admit.halfs
		high.e.admit.mu.Unlock()
		if halfs > maxHalfOfOne {
			t.Errorf("%d connections of one address wait for their hello, and %d may", halfs, maxHalfOfOne)
		}
		low.say(high, "in the flood")
		dialling.Wait()
		pauseFor(helloWithin)
		high.e.admit.mu.Lock()
		defer high.e.admit.mu.Unlock()
		if high.e.admit.halfs != 0 || in > 2*maxHalfOfOne {
			t.Errorf("%d connections came in, and %d still wait", in, high.e.admit.halfs)
		}
		high.has("in the flood")
	})
}

// A flood of items comes in no faster than it may, and who sends it and never
// reads an answer is gone; others notice nothing.
func TestItemFlood(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		eve := b.intrude("Eve", "10.0.0.66")
		defer eve.close()
		conn, stream := eve.enter(high, "Eve")
		start := time.Now()
		var flood sync.WaitGroup
		flood.Go(func() {
			for i := 0; ; i++ {
				frame := wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Item{Item: message(fmt.Sprint("flood", i))}})
				if _, err := stream.Write(frame); err != nil {
					return
				}
			}
		})
		pauseFor(2 * time.Second)
		if n := len(high.texts()); n > 3*int(defaultLimits.frames) {
			t.Errorf("%d items of one device in two seconds", n)
		}
		low.say(high, "meanwhile")
		if why, _ := closed(conn); why != codeStuck {
			t.Errorf("who reads nothing is told %q", why)
		}
		if took := time.Since(start); took > 2*time.Minute {
			t.Errorf("it lasted %v", took)
		}
		flood.Wait()
		low.say(high, "after")
		synctest.Wait()
		if n := len(high.links()); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// Text of the longest length goes through, and one byte more is refused here.
func TestLongestItem(t *testing.T) {
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		longest := strings.Repeat("字", p2p.MaxText/3) + "x"
		low.say(high, longest)
		high.has(longest)
		if err := <-low.send(high, longest+"x"); !errors.Is(err, p2p.ErrRefusedItem) {
			t.Errorf("got %v", err)
		}
	})
}

// Bytes that trickle in keep no connection open: neither those of a hello nor
// those of a later frame.
func TestTrickle(t *testing.T) {
	trickle := func(stream *quic.Stream, frame []byte) {
		for i := range frame {
			if _, err := stream.Write(frame[i : i+1]); err != nil {
				return
			}
			pauseFor(time.Second)
		}
	}
	inBed(t, time.Millisecond, func(b *bed) {
		low, high := b.pair()
		eve := b.intrude("Eve", "10.0.0.66")
		defer eve.close()
		conn, stream, err := eve.dial(high)
		if err != nil {
			t.Fatal(err)
		}
		var trickling sync.WaitGroup
		trickling.Go(func() { trickle(stream, hello("Eve")) })
		if why, after := closed(conn); why != codeSilent || after > helloWithin+time.Second {
			t.Errorf("a slow hello: %q after %v", why, after)
		}
		conn, slow := eve.enter(high, "Eve")
		trickling.Go(func() { trickle(slow, itemFrame(strings.Repeat("slow", 100))) })
		if why, after := closed(conn); why != codeStuck || after > frameWithin+time.Second {
			t.Errorf("a slow frame: %q after %v", why, after)
		}
		trickling.Wait()
		low.say(high, "meanwhile")
		high.has("meanwhile")
	})
}
