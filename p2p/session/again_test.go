package session

import (
	"slices"
	"testing"
	"time"
)

// machineAt is a machine of the lower ID with one connection, over which items
// go all the time.
func machineAt(now *time.Time, relayed bool) *machine {
	m := &machine{lower: true, relayed: true}
	m.look = func(linkID) vital { return vital{used: *now} }
	m.step(evReady{id: 1, dialled: true, relayed: relayed}, *now)
	return m
}

// Who is on the relay looks for something better soon, and then ever more
// seldom.
func TestUpgradesBecomeSeldom(t *testing.T) {
	for _, c := range []struct {
		blocked bool
		want    []int // in seconds
	}{
		{false, []int{3, 6, 12, 24, 48, 96, 156, 216, 276}},
		{true, []int{60, 120, 180, 240, 300}},
	} {
		begin := time.Unix(1e9, 0)
		now := begin
		m := machineAt(&now, true)
		packets := uint64(0)
		m.look = func(linkID) vital { packets++; return vital{packets: packets, used: now} }
		m.upgrade = time.Time{}
		m.step(evBlocked{c.blocked}, now)
		var got []int
		for now.Before(begin.Add(5 * time.Minute)) {
			at := m.wake(now)
			if !at.After(now) {
				t.Fatalf("a wake at %v, now is %v", at, now)
			}
			now = at
			for _, a := range m.step(evTick{}, now) {
				if _, ok := a.(actIntroduce); ok {
					got = append(got, int(now.Sub(begin).Round(time.Second).Seconds()))
				}
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("blocked %v: looked for after %v s, want %v", c.blocked, got, c.want)
		}
	}
}

// A silent connection has the own network doubted once in a while; the next one
// that falls silent is another reason, however soon.
func TestEveryConnectionIsDoubted(t *testing.T) {
	begin := time.Unix(1e9, 0)
	now := begin
	m := machineAt(&now, false)
	doubts := func(d time.Duration) (n int) {
		for end := now.Add(d); now.Before(end); now = now.Add(50 * time.Millisecond) {
			for _, a := range m.step(evTick{}, now) {
				if _, ok := a.(actDoubt); ok {
					n++
				}
			}
		}
		return n
	}
	m.step(evSend{&outgoing{frame: make([]byte, 100), done: func(error) {}}}, now)
	if n := doubts(3 * time.Second); n != 1 {
		t.Errorf("%d doubts about the first connection", n)
	}
	m.step(evReady{id: 2, dialled: true}, now)
	if n := doubts(3 * time.Second); n != 1 {
		t.Errorf("%d doubts about the second connection", n)
	}
}

// Of the connections that are left the one is used that lives, though it goes
// through the relay.
func TestFallBackToTheLiving(t *testing.T) {
	begin := time.Unix(1e9, 0)
	for _, c := range []struct {
		name   string
		silent time.Duration // how long the older direct one was when the newer ended
		want   linkID
	}{{"the direct one was heard", 0, 1}, {"the direct one is dead", 5 * time.Second, 2}} {
		now := begin
		packets := make(map[linkID]uint64)
		m := &machine{relayed: true}
		m.look = func(id linkID) vital { return vital{packets: packets[id], used: now} }
		m.step(evReady{id: 1, dialled: true}, now)
		m.step(evReady{id: 2, relayed: true}, now)
		m.step(evReady{id: 3}, now)
		for end := now.Add(5 * time.Second); now.Before(end); now = now.Add(100 * time.Millisecond) {
			packets[2]++
			packets[3]++
			if c.silent == 0 {
				packets[1]++
			}
			m.step(evTick{}, now)
		}
		m.step(evDown{3, codeReplaced}, now)
		if m.current == nil || m.current.id != c.want {
			t.Errorf("%s: %+v is used", c.name, m.current)
		}
	}
}
