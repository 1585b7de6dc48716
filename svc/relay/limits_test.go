package relay

import (
	"errors"
	"runtime"
	"testing"
	"time"

	wire "earshot/protocol/relay"
)

// flood has a device send packets as fast as they are read, for so long, and
// returns how many bytes of them were.
func (c *client) flood(to *client, size int, d time.Duration) (sent int) {
	frame := wire.AppendPacket(nil, &to.key, make([]byte, size))
	deadline := time.Now().Add(d)
	_ = c.conn.SetWriteDeadline(deadline)
	for time.Now().Before(deadline) {
		if _, err := c.conn.Write(frame); err != nil {
			break
		}
		sent += size
	}
	return sent
}

// A device has its rate, and some in advance, however fast it sends; then it is
// read more slowly. Others have theirs.
func TestRate(t *testing.T) {
	const rate, seconds = 100_000, 60
	inBed(t, Limits{BytesPerSecond: rate}, func(b *bed) {
		ann, bo := b.pair()
		cy, di := b.pair()
		sent := make(chan int, 1)
		b.running.Go(func() { sent <- ann.flood(bo, 1000, seconds*time.Second) })
		for range seconds { // within Cy's rate, to the packet
			for range rate / 1000 {
				cy.packet(di, string(make([]byte, 1000)))
			}
			settle(time.Second)
		}
		const ahead = int(burst / time.Second)
		_, got := bo.packets(ann)
		if most := rate * (seconds + ahead); got > most || got < most*95/100 {
			t.Errorf("%d bytes were forwarded, of %d at most", got, most)
		}
		if read, most := <-sent, floodFactor*rate*(seconds+ahead)+1000; read > most || read < most/2 {
			t.Errorf("%d bytes were read, of %d at most", read, most)
		}
		if n, _ := di.packets(cy); n != seconds*rate/1000 {
			t.Errorf("%d packets of another device were forwarded, of %d", n, seconds*rate/1000)
		}
		// Another connection has no other rate: what there was in advance is
		// used up.
		ann.conn.Close()
		again := b.connect(ann.key)
		again.open(bo)
		bo.take()
		again.flood(bo, 1000, time.Second)
		if _, got := bo.packets(again); got > 2*rate {
			t.Errorf("%d bytes in a second of a new connection", got)
		}
		settle(burst)
	})
}

// What was carried for a device in a day is bounded. It and those who have to
// do with it are told, until the next day; the others' days are their own.
func TestQuota(t *testing.T) {
	const packets = 50
	inBed(t, Limits{BytesPerDay: packets * 1000}, func(b *bed) {
		ann, bo := b.pair()
		cy := b.connect(public())
		b.join(cy, bo)
		b.running.Go(b.pinging(bo))
		b.running.Go(b.pinging(cy))
		text := string(make([]byte, 1000))
		states := func(c *client, about *client) (all []wire.Status, packets int) {
			for _, f := range c.take() {
				switch {
				case f.Type == wire.State && f.Device == about.key:
					all = append(all, f.Status)
				case f.Type == wire.Packet && f.Device == about.key:
					packets++
				}
			}
			return all, packets
		}
		for range 2 * packets {
			ann.packet(bo, text)
		}
		if told, got := states(bo, ann); got != packets || len(told) != 1 || told[0] != wire.OverQuota {
			t.Fatalf("%d packets went, and Bo was told %v", got, told)
		}
		if told, _ := states(ann, bo); len(told) != 1 || told[0] != wire.OverQuota {
			t.Fatalf("Ann was told %v", told)
		}
		bo.packet(ann, text)
		bo.packet(cy, text)
		cy.packet(bo, text)
		if _, got := states(ann, bo); got != 0 {
			t.Error("a packet went to whom nothing is carried for any more")
		}
		if _, got := states(cy, bo); got != 1 {
			t.Error("Bo's packet didn't go to Cy")
		}
		if _, got := states(bo, cy); got != 1 {
			t.Error("Cy's packet didn't go to Bo")
		}

		ann = b.connect(ann.key) // another connection doesn't help
		ann.open(bo)
		ann.packet(bo, text)
		if told, _ := states(ann, bo); len(told) != 1 || told[0] != wire.OverQuota {
			t.Fatalf("on another connection Ann was told %v", told)
		}
		if _, got := states(bo, ann); got != 0 {
			t.Error("on another connection a packet went")
		}

		b.running.Go(b.pinging(ann))
		now := time.Now().UTC()
		settle(time.Until(now.Truncate(24*time.Hour).Add(24*time.Hour)) - time.Minute)
		if told, _ := states(ann, bo); len(told) != 0 {
			t.Errorf("the same day Ann was told %v", told)
		}
		settle(2 * time.Minute)
		if told, _ := states(ann, bo); len(told) != 1 || told[0] != wire.Ready {
			t.Fatalf("the next day Ann was told %v", told)
		}
		ann.packet(bo, text)
		bo.packet(ann, text)
		if told, got := states(bo, ann); got != 1 || told[len(told)-1] != wire.Ready {
			t.Errorf("the next day %d packets went, and Bo was told %v", got, told)
		}
		if _, got := states(ann, bo); got != 1 {
			t.Error("the next day Bo's packet didn't go")
		}
	})
}

// pinging keeps a connection alive.
func (b *bed) pinging(c *client) func() {
	return func() {
		ticker := time.NewTicker(25 * time.Second)
		defer ticker.Stop()
		for {
			if _, err := c.conn.Write(wire.AppendPing(nil, [8]byte{})); err != nil {
				return
			}
			select {
			case <-ticker.C:
			case <-b.ctx.Done():
				return
			}
		}
	}
}

// Those who take nothing cost a queue each, nobody waits for them, and they are
// disconnected. Who takes what waited in time gets it, in order.
func TestSlowReceiversAreBounded(t *testing.T) {
	const slow, packets = 40, 3000 // of 1,500 bytes: 4.5 MB each
	inBed(t, Limits{BytesPerSecond: 1 << 30}, func(b *bed) {
		ann, quick := b.pair()
		var all []*client
		for range slow {
			c := b.deaf(public())
			c.open(ann)
			ann.open(c)
			all = append(all, c)
		}
		late := all[0]
		ann.take()
		before := heap()
		start := time.Now()
		packet := make([]byte, wire.MaxPacket)
		for i := range packets {
			packet[0], packet[1] = byte(i>>8), byte(i)
			for _, c := range all {
				_, _ = ann.conn.Write(wire.AppendPacket(nil, &c.key, packet))
			}
		}
		ann.packet(quick, "and now")
		if took := time.Since(start); took != 0 {
			t.Errorf("who sends had to wait for %v", took)
		}
		if got := quick.heard(ann); got != "0:and now" {
			t.Errorf("the one who listens heard %q", got)
		}
		grown, most := heap()-before, int64(slow*(wire.MaxQueue+64<<10))
		t.Logf("%d slow receivers cost %d KiB each", slow, grown>>10/slow)
		if grown > most {
			t.Errorf("%d bytes are kept for %d receivers, more than %d", grown, slow, most)
		}

		settle(writeTime / 2)
		late.listen()
		next, size := 0, 0
		for _, f := range late.take() {
			if f.Type != wire.Packet {
				continue
			}
			if got := int(f.Packet[0])<<8 | int(f.Packet[1]); got != next {
				t.Fatalf("packet %d came as number %d", got, next)
			}
			next++
			size += len(f.Packet)
		}
		if size > wire.MaxQueue || size < wire.MaxQueue*9/10 {
			t.Errorf("%d bytes were kept for who came late", size)
		}
		settle(writeTime / 2)
		for _, c := range all[1:] {
			if c.lives() {
				t.Fatal("a connection that takes nothing is kept")
			}
			if err := <-c.ended; !errors.Is(err, ErrSlow) {
				t.Fatal(err)
			}
		}
		gone := 0
		for _, f := range ann.take() {
			if f.Type == wire.State && f.Status == wire.Gone {
				gone++
			}
		}
		if gone != slow-1 || !late.lives() || !ann.lives() {
			t.Errorf("Ann was told of %d that they have gone, of %d", gone, slow-1)
		}
	})
}

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // pools survive one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Accounts are bounded, and those of devices that are there are kept.
func TestAccountsAreBounded(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1e9, 0)
	for i := range maxAccounts + 1000 {
		var key [32]byte
		key[0], key[1], key[2] = byte(i>>16), byte(i>>8), byte(i)
		a := s.account(key, now)
		a.spend(1, now, 1<<30)
		if i < 10 {
			s.conns[key] = &conn{device: key}
		}
	}
	if len(s.accounts) > maxAccounts {
		t.Errorf("%d accounts are kept", len(s.accounts))
	}
	for key := range s.conns {
		if a := s.accounts[key]; a == nil || a.bytes != 1 {
			t.Error("what is known of a device that is there was forgotten")
		}
	}
	s.account([32]byte{99}, now.Add(25*time.Hour))
	if len(s.accounts) > 11 {
		t.Errorf("%d accounts of yesterday are kept", len(s.accounts))
	}
}
