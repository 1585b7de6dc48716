package relay

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"

	"earshot/protocol/identity"
	wire "earshot/protocol/relay"
)

// FuzzServe has a device say anything to a relay. One who has opened it hears
// nothing but packets that it sent, once, and how they stand; one who has not,
// nothing at all; and the connection ends with an error or none, but ends.
func FuzzServe(f *testing.F) {
	key := func(b byte) identity.PublicKey { return identity.PublicKey(bytes.Repeat([]byte{b}, 32)) }
	annKey, boKey, eveKey := key(0xA0), key(0xB0), key(0xE0)
	var seeds [][]byte
	for _, to := range []identity.PublicKey{annKey, boKey, eveKey} {
		open, packet := wire.AppendOpen(nil, to), wire.AppendPacket(nil, &to, []byte("a packet"))
		seeds = append(seeds, open, packet,
			append(bytes.Clone(open), packet...),
			wire.AppendPacket(wire.AppendClose(wire.AppendPacket(bytes.Clone(open), &to, []byte("before")), to), &to, []byte("after")),
			wire.AppendState(bytes.Clone(open), to, wire.Ready),
			wire.AppendPong(wire.AppendPing(bytes.Clone(open), [8]byte{1}), [8]byte{2}))
	}
	for _, seed := range seeds {
		if len(seed) == 0 {
			f.Fatal("a seed is empty")
		}
		f.Add(seed)
		f.Add(seed[:len(seed)-1])
		f.Add(append([]byte{0, 1, 99}, seed...))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		inBed(t, Limits{}, func(b *bed) {
			ann, bo, eve := b.connect(annKey), b.connect(boKey), b.connect(eveKey)
			bo.open(ann)
			bo.take()
			ann.say(stream)
			ann.conn.Close()
			synctest.Wait()
			if ann.lives() {
				t.Fatal("the connection has no end")
			}
			if err := <-ann.ended; errors.Is(err, ErrEnded) && !errors.Is(err, ErrFlood) {
				t.Errorf("it ended with %v", err)
			}
			rest, states := stream, 0
			for _, frame := range bo.take() {
				switch {
				case frame.Device != annKey:
					t.Fatal("Bo heard of somebody else")
				case frame.Type == wire.Packet:
					sent := wire.AppendPacket(nil, &boKey, frame.Packet)
					at := bytes.Index(rest, sent)
					if at < 0 {
						t.Fatal("Bo got a packet that was not sent, or twice")
					}
					rest = rest[at+len(sent):]
				case frame.Type == wire.State:
					states++
				default:
					t.Fatalf("Bo got a frame of type %d", frame.Type)
				}
			}
			if requests := bytes.Count(stream, boKey[:]); states > 2*requests {
				t.Errorf("Bo was told %d times, of %d requests", states, requests)
			}
			if eve.bytes() != 0 || !bo.lives() || !eve.lives() {
				t.Errorf("Eve got %d bytes; Bo lives %v, and Eve %v", eve.bytes(), bo.lives(), eve.lives())
			}
		})
	})
}
