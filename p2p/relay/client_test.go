package relay

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"earshot/protocol/identity"
	wire "earshot/protocol/relay"
)

func TestPacketsGoBothWays(t *testing.T) {
	inBed(t, func(b *bed) {
		b.sim.Latency(20 * time.Millisecond)
		ann, bo := b.pair()
		for i := range 50 {
			ann.write(bo, fmt.Sprint(i))
		}
		for i := range 50 {
			if got := bo.read(ann); got != fmt.Sprint(i) {
				t.Fatalf("packet %d is %q", i, got)
			}
		}
		if !ann.Connected() {
			t.Error("Ann is not connected")
		}
	})
}

// Before the other one has opened it too, nothing leaves.
func TestNobodyIsReadyAlone(t *testing.T) {
	inBed(t, func(b *bed) {
		ann, bo := b.device("10.0.0.2"), b.device("10.0.0.3")
		ann.Open(bo.public())
		settle(time.Second)
		ann.write(bo, "too early")
		if _, told := ann.ready(bo); told != 0 {
			t.Fatal("Ann was told something about Bo, who isn't there")
		}
		bo.Open(ann.public())
		settle(time.Second)
		if got := bo.read(ann); got != "" {
			t.Fatalf("Bo got %q", got)
		}
		b.talk(ann, bo)
		bo.Close(ann.public())
		bo.Close(ann.public())
		settle(time.Second)
		if ready, told := ann.ready(bo); ready || told != 2 {
			t.Fatalf("Ann was told %v, %d times", ready, told)
		}
		if ready, told := bo.ready(ann); ready || told != 2 {
			t.Fatalf("Bo was told %v, %d times", ready, told)
		}
		bo.Open(ann.public())
		bo.Open(ann.public())
		settle(time.Second)
		b.talk(ann, bo)
	})
}

// Whoever closes a device and opens it again at once is told anew that it is
// ready, because it may have forgotten.
func TestReopenedIsToldAnew(t *testing.T) {
	inBed(t, func(b *bed) {
		ann, bo := b.pair()
		_, before := ann.ready(bo)
		ann.Close(bo.public())
		ann.Open(bo.public())
		settle(time.Second)
		if ready, told := ann.ready(bo); !ready || told == before {
			t.Fatalf("Ann was told %v, %d times and %d before", ready, told, before)
		}
		b.talk(ann, bo)
	})
}

// The connection is there while it is needed, and half a minute more.
func TestConnectsWhileNeeded(t *testing.T) {
	inBed(t, func(b *bed) {
		ann, bo := b.device("10.0.0.2"), b.device("10.0.0.3")
		settle(time.Hour)
		if len(ann.attempts()) != 0 || ann.Connected() {
			t.Fatalf("%d connections that nobody needs", len(ann.attempts()))
		}
		ann.Open(bo.public())
		settle(10 * time.Minute)
		if len(ann.attempts()) != 1 || !ann.Connected() {
			t.Fatalf("%d connections, connected %v", len(ann.attempts()), ann.Connected())
		}
		if pings := b.count(wire.Ping); pings < 20 || pings > 25 {
			t.Errorf("%d pings in 10 minutes", pings)
		}
		ann.Close(bo.public())
		settle(unusedFor - time.Second)
		ann.Open(bo.public())
		settle(time.Minute)
		ann.Close(bo.public())
		settle(unusedFor - time.Second)
		if len(ann.attempts()) != 1 || !ann.Connected() {
			t.Fatalf("it left too early: %d connections", len(ann.attempts()))
		}
		settle(2 * time.Second)
		if ann.Connected() {
			t.Fatal("it stays though nobody needs it")
		}
		settle(time.Hour)
		ann.Open(bo.public())
		settle(time.Second)
		if len(ann.attempts()) != 2 || !ann.Connected() {
			t.Fatalf("%d connections", len(ann.attempts()))
		}
	})
}

// A cut connection is back before anybody waits for it.
func TestBackAfterCut(t *testing.T) {
	inBed(t, func(b *bed) {
		b.sim.Latency(20 * time.Millisecond)
		ann, bo := b.pair()
		settle(time.Minute)
		for range 3 {
			_, before := ann.ready(bo)
			b.sim.CutTCP(ann.addr)
			settle(500 * time.Millisecond)
			if ready, told := ann.ready(bo); !ready || told != before+2 {
				t.Fatalf("half a second later Ann was told %v, %d times", ready, told-before)
			}
			b.talk(ann, bo)
			settle(time.Minute)
		}
	})
}

// Attempts that fail become rare, and Kick ends the wait.
func TestBackoff(t *testing.T) {
	inBed(t, func(b *bed) {
		ann, bo := b.pair()
		b.sim.Crash(hubAddr.Addr())
		before := len(ann.attempts())
		settle(time.Minute)
		// 0.1+0.2+…+3.2 s, then 5 s each, by half of it less at most.
		if n := len(ann.attempts()) - before; n < 14 || n > 34 {
			t.Errorf("%d attempts in a minute", n)
		}
		before = len(ann.attempts())
		last := ann.attempts()[before-1]
		settle(10 * time.Second)
		for _, at := range ann.attempts()[before:] {
			if at.Sub(last) > lastBackoff+time.Second {
				t.Errorf("%v between two attempts", at.Sub(last))
			}
			last = at
		}
		before = len(ann.attempts())
		ann.Kick()
		settle(0)
		if len(ann.attempts()) != before+1 {
			t.Errorf("Kick had %d attempts made", len(ann.attempts())-before)
		}
		ann.Close(bo.public())
		settle(0)
		before = len(ann.attempts())
		settle(time.Hour)
		if len(ann.attempts()) != before {
			t.Errorf("%d attempts that nobody needs", len(ann.attempts())-before)
		}
	})
}

// A connection that is dead and doesn't say so is replaced two seconds after
// the network has changed, and 35 s after the last sign of life otherwise.
func TestSilentConnectionIsReplaced(t *testing.T) {
	for _, kick := range []bool{true, false} {
		t.Run(fmt.Sprint("kick ", kick), func(t *testing.T) {
			inBed(t, func(b *bed) {
				ann, bo := b.pair()
				settle(time.Minute)
				b.mute()
				within := pingEvery + answerTime
				if kick {
					ann.Kick()
					within = kickTime
				}
				begin, before := time.Now(), len(ann.attempts())
				settle(within + lastBackoff)
				attempts := ann.attempts()
				if len(attempts) != before+1 {
					t.Fatalf("%d connections more", len(attempts)-before)
				}
				took := attempts[before].Sub(begin)
				if kick && took < kickTime || !kick && took < answerTime || took > within+firstBackoff {
					t.Errorf("it took %v", took)
				}
				bo.Kick()
				settle(time.Minute)
				b.talk(ann, bo)
			})
		})
	}
}

// A connection that lives outlives Kick, also one on which much else comes.
func TestKickSparesTheLiving(t *testing.T) {
	inBed(t, func(b *bed) {
		b.sim.Latency(300 * time.Millisecond)
		ann, bo := b.device("10.0.0.2"), b.device("10.0.0.3")
		ann.Open(bo.public())
		bo.Open(ann.public())
		settle(3 * time.Second)
		before := len(ann.attempts())
		for range 20 {
			ann.Kick()
			settle(700 * time.Millisecond)
		}
		settle(time.Minute)
		if len(ann.attempts()) != before || before != 1 {
			t.Fatalf("%d connections", len(ann.attempts()))
		}
	})
}

// An attempt that hangs is begun anew when the network changes.
func TestKickDuringDial(t *testing.T) {
	inBed(t, func(b *bed) {
		ann, bo := b.device("10.0.0.2"), b.device("10.0.0.3")
		b.sim.Down(hubAddr.Addr(), true)
		ann.Open(bo.public())
		settle(time.Second)
		b.sim.Down(hubAddr.Addr(), false)
		settle(time.Second)
		if ann.Connected() {
			t.Fatal("the SYN was not lost")
		}
		ann.Kick()
		settle(0)
		if !ann.Connected() || len(ann.attempts()) != 2 {
			t.Fatalf("connected %v after %d attempts", ann.Connected(), len(ann.attempts()))
		}
	})
}

// A device that found no room is opened when another one is closed.
func TestFull(t *testing.T) {
	inBed(t, func(b *bed) {
		ann := b.device("10.0.0.2")
		var others []*device
		for i := range b.maxOpen + 1 {
			o := b.device(fmt.Sprintf("10.0.0.%d", 3+i))
			o.Open(ann.public())
			others = append(others, o)
			ann.Open(o.public())
			settle(time.Second)
		}
		last := others[b.maxOpen]
		if ready, told := ann.ready(last); ready || told != 0 {
			t.Fatal("the last one was told to be ready")
		}
		b.talk(ann, others[0])
		ann.Close(others[1].public())
		settle(time.Second)
		b.talk(ann, last)
	})
}

// A relay that takes nothing costs no more than a queue, and nobody waits.
func TestWriteNeverWaits(t *testing.T) {
	inBed(t, func(b *bed) {
		ann, bo := b.pair()
		b.mu.Lock()
		b.deaf = true
		b.mu.Unlock()
		begin := time.Now()
		large := string(make([]byte, wire.MaxPacket))
		for range 3 {
			for range 1000 {
				ann.write(bo, large)
			}
			settle(0)
		}
		if took := time.Since(begin); took != 0 {
			t.Fatalf("it took %v", took)
		}
		settle(writeTime + farewellTime + firstBackoff)
		if len(ann.attempts()) < 2 {
			t.Fatal("a connection that takes nothing is kept")
		}
	})
}

// What nobody reads is dropped, and the rest is whole.
func TestUnreadIsBounded(t *testing.T) {
	inBed(t, func(b *bed) {
		ann, bo := b.pair()
		const sent = 1000
		for i := range sent {
			ann.write(bo, fmt.Sprintf("%01200d", i))
			settle(0)
		}
		got := 0
		for want := range sent {
			text := bo.read(ann)
			if text == "" {
				break
			}
			if text != fmt.Sprintf("%01200d", want) {
				t.Fatalf("packet %d is another one", want)
			}
			got++
		}
		if got < 200 || got*1200 > maxUnread {
			t.Fatalf("%d packets were kept", got)
		}
		b.talk(ann, bo)
	})
}

func TestRunEndsWithReady(t *testing.T) {
	inBed(t, func(b *bed) {
		ann, bo := b.pair()
		ann.stop()
		settle(time.Second)
		if ready, told := ann.ready(bo); ready || told != 2 {
			t.Errorf("Ann was told %v, %d times", ready, told)
		}
		if ready, _ := bo.ready(ann); ready {
			t.Error("Bo was not told that Ann has left")
		}
		ann.write(bo, "into nothing")
		ann.Open(identity.NewKey().Public())
		ann.Close(bo.public())
		ann.Kick()
	})
}

func TestBackoffIsJittered(t *testing.T) {
	var waits []time.Duration
	for range 20 {
		var b backoff
		waits = append(waits, b.wait(0))
	}
	if slices.Min(waits) < firstBackoff/2 || slices.Max(waits) > firstBackoff || slices.Min(waits) == slices.Max(waits) {
		t.Errorf("first waits from %v to %v", slices.Min(waits), slices.Max(waits))
	}
	var b backoff
	for range 20 {
		b.wait(time.Second)
	}
	if w := b.wait(0); w < lastBackoff/2 || w > lastBackoff {
		t.Errorf("the last wait is %v", w)
	}
	if w := b.wait(heldLongEnough); w > firstBackoff {
		t.Errorf("after a connection that held it is %v", w)
	}
}
