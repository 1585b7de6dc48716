package rush

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A rush begins with many logins, and ends with the last of them, or after its
// time.
func TestRush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Rush
		logins := func(n int, every time.Duration) {
			for range n {
				r.Login()
				time.Sleep(every)
			}
			synctest.Wait()
		}
		on := func(want bool, when string) {
			t.Helper()
			if got := r.Over() != nil; got != want {
				t.Errorf("%s there is a rush: %v", when, got)
			}
		}
		logins(Logins-1, 0)
		on(false, "after a few logins")
		time.Sleep(Gap + 1)
		logins(Logins-1, Gap)
		on(false, "after a few more, later")
		logins(1, 0)
		on(true, "after many")
		over := r.Over()
		time.Sleep(Gap / 2)
		logins(1, 0)
		time.Sleep(Gap + (Logins+1)*gapEach - 1)
		on(true, "when the last one came just now")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		on(false, "when the last one came a while ago")
		select {
		case <-over:
		default:
			t.Error("those who wait for the end are not told")
		}
		// Those who trickle in keep nobody waiting, a crowd may take its time.
		for _, c := range []struct{ every, atLeast, atMost time.Duration }{
			{10 * time.Millisecond, time.Second, 1200 * time.Millisecond},
			{500 * time.Microsecond, 4900 * time.Millisecond, Longest},
		} {
			time.Sleep(time.Minute)
			logins(Logins, 0)
			over, began := r.Over(), time.Now()
			for r.Over() == over {
				logins(1, c.every)
			}
			if lasted := time.Since(began); lasted < c.atLeast || lasted > c.atMost {
				t.Errorf("a rush of a login each %v lasts %v", c.every, lasted)
			}
		}
		time.Sleep(time.Minute)
		ends, before := 0, r.Over()
		for range 5 * time.Second / (10 * time.Millisecond) {
			logins(1, 10*time.Millisecond)
			if now := r.Over(); before != nil && now != before {
				ends++
				before = now
			} else {
				before = now
			}
		}
		if ends < 3 || ends > 5 {
			t.Errorf("logins that go on for 5 s are told %d times", ends)
		}
	})
}

// Somebody is told when it is quiet again, once, whatever came before.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rested atomic.Int32
		r := Rush{Rest: func() { rested.Add(1) }}
		rush := func() {
			for range Logins {
				r.Login()
			}
			<-r.Over()
		}
		rush()
		time.Sleep(restTime - time.Millisecond)
		rush()
		time.Sleep(restTime - time.Millisecond)
		synctest.Wait()
		if rested.Load() != 0 {
			t.Error("it rests between two rushes")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if rested.Load() != 1 {
			t.Errorf("it rests %d times", rested.Load())
		}
	})
}
