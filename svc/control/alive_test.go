package control

import (
	"testing"
	"testing/synctest"
	"time"
)

// pass lets time pass, and all that it brings happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A client that says nothing for a minute is gone; one that pings is not.
func TestSilence(t *testing.T) {
	inWorld(t, func(w *world) {
		ann, bo := w.login(1, "Ann"), w.login(2, "Bo")
		for range 4 {
			pass(keepalive)
			ann.ping()
		}
		ann.sees("Ann")
		bo.until("the end", func() bool { return bo.err != nil })
		w.sim.Kill(address(1)) // a power cut
		pass(silentTime - time.Second)
		if w.roster.Len() != 1 {
			t.Error("gone too early")
		}
		pass(2 * time.Second)
		if w.roster.Len() != 0 {
			t.Error("still there")
		}
	})
}

// Where there are very many, each says less often that it is there, as it is
// told with the answer, and has as much longer.
func TestLongerKeepalive(t *testing.T) {
	for online, want := range map[int64][2]time.Duration{ // unguarded and guarded
		1: {keepalive, keepalive}, 250: {keepalive, keepalive}, 251: {keepalive, 2 * keepalive},
		5000: {keepalive, 32 * keepalive}, 5001: {2 * keepalive, 32 * keepalive}, 10_000: {2 * keepalive, 64 * keepalive},
		20_000: {4 * keepalive, longestKeepalive}, 10_000_000: {longestKeepalive, longestKeepalive},
	} {
		if got := [2]time.Duration{keepaliveFor(online, false), keepaliveFor(online, true)}; got != want {
			t.Errorf("%d devices each say something each %v, want %v", online, got, want)
		}
	}
	inWorld(t, func(w *world) {
		ann, bo := w.login(1, "Ann"), w.login(2, "Bo")
		w.server.online.Add(450)
		if pong := ann.ping(); pong.KeepaliveSeconds != 50 {
			t.Errorf("Ann is told %v", pong)
		}
		cho := w.login(3, "Cho")
		if cho.welcome.KeepaliveSeconds != 50 {
			t.Errorf("Cho is told %d s", cho.welcome.KeepaliveSeconds)
		}
		pass(silentTime + time.Second) // in which Ann, who was told 50 s now, need say nothing
		ann.sees("Ann", "Cho")         // Bo was told 25 s, and said nothing
		if bo.err == nil {
			t.Error("Bo is still there")
		}
		if pong := ann.ping(); pong.KeepaliveSeconds != 0 {
			t.Errorf("Ann is told again: %v", pong)
		}
		w.server.online.Add(-450)
		if pong := ann.ping(); pong.KeepaliveSeconds != 25 {
			t.Errorf("Ann is told %v", pong)
		}
		pass(silentTime + time.Second)
		if w.roster.Len() != 0 {
			t.Errorf("%d are still there", w.roster.Len())
		}
	})
}

// However rare the pings are, a host that loses its power is missed within a
// minute; one that has nothing to say is not.
func TestPowerCutAmongMany(t *testing.T) {
	inWorld(t, func(w *world) {
		w.server.online.Add(19_000)
		ann, bo := w.login(1, "Ann"), w.login(2, "Bo")
		if s := ann.welcome.KeepaliveSeconds; s != uint32(longestKeepalive.Seconds()) {
			t.Errorf("Ann is told %d s", s)
		}
		pass(3 * vanishTime)
		ann.sees("Ann", "Bo")
		w.sim.Kill(address(2))
		bo.until("the end", func() bool { return bo.err != nil })
		pass(vanishTime + time.Second)
		ann.sees("Ann")
	})
}
