package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot/protocol/identity"
	wire "earshot/protocol/relay"
)

// A packet is forwarded only while both have opened each other, and who has not
// asked gets not one byte.
func TestBothMustHaveOpened(t *testing.T) {
	inBed(t, Limits{}, func(b *bed) {
		ann, bo, eve := b.connect(public()), b.connect(public()), b.connect(public())
		people := []*client{ann, bo, eve}
		hears := func(who *client, want string) {
			t.Helper()
			if got := who.heard(people...); got != want {
				t.Fatalf("%d heard %q, want %q", indexOf(people, who), got, want)
			}
		}
		ann.packet(bo, "1") // neither has
		ann.open(bo)
		hears(ann, "1=2")
		ann.packet(bo, "2") // she has
		if bo.bytes() != 0 {
			t.Fatalf("Bo, who asked for nothing, got %d bytes", bo.bytes())
		}
		bo.open(ann)
		hears(bo, "0=1")
		hears(ann, "1=1")
		ann.packet(bo, "3") // both have
		bo.packet(ann, "4")
		hears(bo, "0:3")
		hears(ann, "1:4")

		eve.open(bo)
		eve.open(ann)
		eve.packet(bo, "5")
		eve.packet(ann, "6")
		hears(eve, "1=2 0=2") // and nothing that tells whether they are there
		hears(bo, "")
		hears(ann, "")
		eve.open(eve)
		eve.packet(eve, "7")
		hears(eve, "2=2")

		left := b.server.conns[ann.key]
		other := b.connect(ann.key) // what was opened, was on another connection
		if left.open[bo.key].peer.Load() != nil {
			t.Error("what the connection that was replaced had read would still be forwarded")
		}
		if err := <-ann.ended; !errors.Is(err, ErrReplaced) {
			t.Fatal(err)
		}
		hears(bo, "0=2")
		other.packet(bo, "8")
		bo.packet(other, "9")
		hears(bo, "")
		if other.bytes() != 0 {
			t.Fatalf("a new connection got %d bytes", other.bytes())
		}
	})
}

func indexOf(people []*client, who *client) int {
	for i, p := range people {
		if p == who {
			return i
		}
	}
	return -1
}

// What is sent after CLOSE is not forwarded, by whomever it was said, not even
// if it came in one piece with it.
func TestNothingAfterClose(t *testing.T) {
	inBed(t, Limits{}, func(b *bed) {
		ann, bo := b.pair()
		packet := func(text string) []byte { return wire.AppendPacket(nil, &bo.key, []byte(text)) }
		ann.say(packet("before"), wire.AppendClose(nil, bo.key), packet("after"), packet("after"))
		if got := bo.heard(ann); got != "0=2 0:before" && got != "0:before 0=2" {
			t.Fatalf("Bo heard %q", got)
		}
		ann.packet(bo, "later")
		bo.packet(ann, "into nothing")
		if got := bo.heard(ann) + ann.heard(bo); got != "" {
			t.Fatalf("after CLOSE they heard %q", got)
		}
		ann.open(bo)
		if got := bo.heard(ann) + " " + ann.heard(bo); got != "0=1 0=1" {
			t.Fatalf("they heard %q", got)
		}
		bo.close(ann)
		ann.say(packet("unwanted"))
		if got := bo.heard(ann); got != "" {
			t.Fatalf("Bo, who has closed, heard %q", got)
		}
		if got := ann.heard(bo); got != "0=2" {
			t.Fatalf("Ann heard %q", got)
		}
	})
}

// What ends a connection, and that it concerns nobody else.
func TestEnds(t *testing.T) {
	half := wire.AppendPacket(nil, new(identity.PublicKey), []byte("half"))[:20]
	for name, c := range map[string]struct {
		do   func(b *bed, ann *client)
		want error
	}{
		"too large":       {func(_ *bed, ann *client) { ann.say([]byte{0x05, 0xfe, 1}) }, wire.ErrFrame},
		"far too large":   {func(_ *bed, ann *client) { ann.say(bytes.Repeat([]byte{0xff}, 70_000)) }, wire.ErrFrame},
		"empty":           {func(_ *bed, ann *client) { ann.say([]byte{0, 0}) }, wire.ErrFrame},
		"an empty packet": {func(_ *bed, ann *client) { ann.say(wire.AppendPacket(nil, &ann.key, nil)) }, wire.ErrFrame},
		"a large packet":  {func(_ *bed, ann *client) { ann.say(wire.AppendPacket(nil, &ann.key, make([]byte, 1501))) }, wire.ErrFrame},
		"a short open":    {func(_ *bed, ann *client) { ann.say([]byte{0, 3, 2, 1, 1}) }, wire.ErrFrame},
		"a long ping":     {func(_ *bed, ann *client) { ann.say([]byte{0, 10, 5, 1, 2, 3, 4, 5, 6, 7, 8, 9}) }, wire.ErrFrame},
		"HTTP":            {func(_ *bed, ann *client) { ann.say([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) }, wire.ErrFrame},
		"half a frame":    {func(_ *bed, ann *client) { ann.say(half); ann.conn.Close() }, io.ErrUnexpectedEOF},
		"good-bye":        {func(_ *bed, ann *client) { ann.conn.Close() }, nil},
		"forgotten":       {func(b *bed, ann *client) { b.server.Forget(ann.key) }, ErrForgotten},
		"silent":          {func(_ *bed, ann *client) { settle(silentTime) }, ErrSilent},
		"silent within a frame": {func(_ *bed, ann *client) {
			for _, piece := range half { // a byte now and then is no sign of life
				ann.say([]byte{piece})
				settle(silentTime/20 + time.Millisecond)
			}
		}, ErrSilent},
		"too many requests": {func(_ *bed, ann *client) {
			for range 2000 {
				ann.say(wire.AppendOpen(nil, ann.key))
			}
		}, ErrFlood},
		"too many pings":      {func(_ *bed, ann *client) { ann.say(bytes.Repeat(wire.AppendPing(nil, [8]byte{}), 2000)) }, ErrFlood},
		"too many of nothing": {func(_ *bed, ann *client) { ann.say(bytes.Repeat([]byte{0, 1, 99}, 2000)) }, ErrFlood},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, Limits{}, func(b *bed) {
				ann, bo := b.pair()
				cy, di := b.pair()
				b.running.Go(func() { // the others go on
					for range 5 {
						time.Sleep(20 * time.Second)
						_, _ = bo.conn.Write(wire.AppendPing(nil, [8]byte{}))
						_, _ = cy.conn.Write(wire.AppendPing(nil, [8]byte{}))
						_, _ = di.conn.Write(wire.AppendPing(nil, [8]byte{}))
					}
				})
				c.do(b, ann)
				synctest.Wait()
				if ann.lives() {
					t.Fatal("the connection was not ended")
				}
				if err := <-ann.ended; !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Errorf("it ended with %v, want %v", err, c.want)
				}
				frames := bo.take()
				if n := len(frames); n == 0 || frames[n-1].Type == wire.State && frames[n-1].Status != wire.Gone {
					t.Errorf("Bo was not told: %+v", frames)
				}
				if !bo.lives() || !cy.lives() || !di.lives() {
					t.Error("somebody else was disconnected")
				}
				cy.packet(di, "still here")
				if got := di.heard(cy); !strings.HasSuffix(got, "0:still here") {
					t.Errorf("Di heard %q", got)
				}
			})
		})
	}
}

// What only the relay says, and what nobody knows, is read past.
func TestOddFramesAreSkipped(t *testing.T) {
	inBed(t, Limits{}, func(b *bed) {
		ann, bo := b.pair()
		ann.say(wire.AppendState(nil, bo.key, wire.Full), wire.AppendPong(nil, [8]byte{1}), []byte{0, 3, 200, 1, 2},
			wire.AppendPacket(nil, &bo.key, []byte("through")))
		if got := bo.heard(ann); got != "0:through" || !ann.lives() {
			t.Errorf("Bo heard %q", got)
		}
		if got := ann.heard(bo); got != "" {
			t.Errorf("Ann heard %q", got)
		}
		ann.say(wire.AppendPing(nil, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}))
		if got := ann.heard(bo); got != "pong0102030405060708" {
			t.Errorf("Ann heard %q", got)
		}
	})
}

// A device may have so many open, and a connection must be one of so many.
func TestRoom(t *testing.T) {
	inBed(t, Limits{MaxOpen: 3, MaxConnections: 5}, func(b *bed) {
		var all []*client
		for range 5 {
			all = append(all, b.connect(public()))
		}
		for _, other := range all[1:] {
			other.open(all[0])
			all[0].open(other)
		}
		if got := all[0].heard(all...); got != "1=1 2=1 3=1 4=4" {
			t.Fatalf("the first heard %q", got)
		}
		all[4].packet(all[0], "no room")
		if got := all[0].heard(all...); got != "" {
			t.Fatalf("the first heard %q", got)
		}
		all[0].close(all[2])
		all[0].open(all[4])
		if got := all[0].heard(all...); got != "4=1" {
			t.Fatalf("the first heard %q", got)
		}
		if c := b.connect(public()); !errors.Is(<-c.ended, ErrFull) {
			t.Error("a sixth connection was let in")
		}
		b.connect(all[1].key) // in place of another
		if err := <-all[1].ended; !errors.Is(err, ErrReplaced) {
			t.Error(err)
		}
	})
}

func TestServeEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		ended := make(chan error)
		go func() { ended <- server.Serve(ctx, near, public()) }()
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestLimits(t *testing.T) {
	for _, l := range []Limits{{MaxConnections: -1}, {MaxOpen: -1}, {BytesPerSecond: -1}, {BytesPerDay: -1}} {
		if _, err := New(Config{Limits: l}); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

// storm has devices do anything, and keeps what must be true.
type storm struct {
	*bed
	*rand.Rand
	keys  []identity.PublicKey
	now   []*client // the connections; nil for none
	wants [][]bool  // who has whom open
	sent  int
	opens [][]int // OPENs, by who said so and about whom
	told  [][]int // STATEs, by who was told and about whom
	pings []int
}

// After any series of connections, requests and packets, a packet comes out if
// and only if both have opened each other then, once, as it was, and to the one
// whom it is for. Nobody gets anything for which nobody paid: no packet that is
// larger than what came for it, and no more news than there was, and none of
// anybody whom it has not opened.
func TestNothingIsAmplified(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBed(t, Limits{}, func(b *bed) {
				const devices = 5
				s := &storm{bed: b, Rand: rand.New(rand.NewPCG(seed, 7)), now: make([]*client, devices), pings: make([]int, devices)}
				for range devices {
					s.keys = append(s.keys, public())
					s.wants, s.opens, s.told = append(s.wants, make([]bool, devices)), append(s.opens, make([]int, devices)), append(s.told, make([]int, devices))
				}
				for range 3000 {
					s.step()
					settle(10 * time.Millisecond)
				}
				if s.sent < 100 {
					t.Errorf("only %d packets came through", s.sent)
				}
				for who, told := range s.told {
					for about, n := range told {
						if limit := s.opens[who][about] + 2*s.opens[about][who]; n > limit || s.opens[who][about] == 0 && n > 0 {
							t.Errorf("%d was told of %d %d times, after %d and %d requests", who, about, n, s.opens[who][about], s.opens[about][who])
						}
					}
				}
			})
		})
	}
}

// idle is the device that never opens another one.
const idle = 0

func (s *storm) step() {
	who, whom := s.IntN(len(s.keys)), s.IntN(len(s.keys))
	c := s.now[who]
	switch n := s.IntN(100); {
	case c == nil || n < 2:
		s.now[who] = s.connect(s.keys[who])
		s.collect(who, c)
		clear(s.wants[who])
	case n < 3:
		c.conn.Close()
		s.collect(who, c)
		s.now[who] = nil
		clear(s.wants[who])
	case n < 35 && who != idle:
		c.say(wire.AppendOpen(nil, s.keys[whom]))
		s.wants[who][whom] = true
		s.opens[who][whom]++
	case n < 42:
		c.say(wire.AppendClose(nil, s.keys[whom]))
		s.wants[who][whom] = false
	case n < 45:
		c.say(wire.AppendPing(nil, [8]byte{byte(n)}))
		s.pings[who]++
	default:
		s.packet(who, whom)
		return
	}
	s.news()
}

// packet sends one, and sees where it comes out.
func (s *storm) packet(who, whom int) {
	s.news()
	packet := make([]byte, 1+s.IntN(wire.MaxPacket))
	for i := range packet {
		packet[i] = byte(s.Uint32())
	}
	frame := wire.AppendPacket(nil, &s.keys[whom], packet)
	before := make([]int, len(s.keys))
	for i, c := range s.now {
		if c != nil {
			before[i] = c.bytes()
		}
	}
	s.now[who].say(frame)
	through := who != whom && s.now[whom] != nil && s.wants[who][whom] && s.wants[whom][who]
	for i, c := range s.now {
		if c == nil {
			continue
		}
		frames, got, want := c.take(), c.bytes()-before[i], 0
		if i == whom && through {
			want = len(frame)
			if len(frames) != 1 || frames[0].Type != wire.Packet || frames[0].Device != s.keys[who] || !bytes.Equal(frames[0].Packet, packet) {
				s.Fatalf("%d got something else: %d frames", i, len(frames))
			}
			s.sent++
		}
		if got != want {
			s.Fatalf("for %d bytes from %d to %d, %d got %d, want %d", len(frame), who, whom, i, got, want)
		}
	}
}

// news counts what everybody was told.
func (s *storm) news() {
	for i, c := range s.now {
		if c != nil {
			s.collect(i, c)
		}
	}
}

func (s *storm) collect(who int, c *client) {
	if c == nil {
		return
	}
	for _, f := range c.take() {
		switch f.Type {
		case wire.State:
			for about, key := range s.keys {
				if key == f.Device {
					s.told[who][about]++
				}
			}
		case wire.Pong:
			if s.pings[who]--; s.pings[who] < 0 {
				s.Fatalf("%d got an answer that it had not asked for", who)
			}
		default:
			s.Fatalf("%d got a frame of type %d", who, f.Type)
		}
	}
}
