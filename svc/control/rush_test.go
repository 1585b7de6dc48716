package control

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// A rush begins with many logins, and ends with the last of them, or after its
// time.
func TestRush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rush
		logins := func(n int, every time.Duration) {
			for range n {
				r.login()
				time.Sleep(every)
			}
			synctest.Wait()
		}
		on := func(want bool, when string) {
			t.Helper()
			if got := r.on() != nil; got != want {
				t.Errorf("%s there is a rush: %v", when, got)
			}
		}
		logins(rushLogins-1, 0)
		on(false, "after a few logins")
		time.Sleep(rushGap + 1)
		logins(rushLogins-1, rushGap)
		on(false, "after a few more, later")
		logins(1, 0)
		on(true, "after many")
		over := r.on()
		time.Sleep(rushGap / 2)
		logins(1, 0)
		time.Sleep(rushGap - 1)
		on(true, "when the last one came just now")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		on(false, "when the last one came a while ago")
		select {
		case <-over:
		default:
			t.Error("those who wait for the end are not told")
		}
		time.Sleep(time.Minute)
		ends, before := 0, r.on()
		for range 5 * time.Second / (10 * time.Millisecond) {
			logins(1, 10*time.Millisecond)
			if now := r.on(); before != nil && now != before {
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

// Who comes in a rush is let in at once, and told of everybody once it is over,
// in one go; so is who was there before.
func TestToldAfterTheRush(t *testing.T) {
	inWorld(t, func(w *world) {
		ann := w.login(1, "Ann")
		names := []string{"Ann"}
		var late []*client
		for i := range 3 * rushLogins {
			c := w.dial(2+i, fmt.Sprint("user ", i), identity.NewKey())
			packs := i%2 == 0
			c.sendHello(func(h *wire.Hello) {
				if packs {
					h.Capabilities = []string{"x", wire.CapabilityDeflate}
				}
			})
			c.until("a welcome", func() bool { return c.welcome != nil })
			if has := slices.Equal(c.welcome.Capabilities, []string{wire.CapabilityDeflate}); has != packs {
				t.Errorf("%s is welcomed with the capabilities %q", c.name, c.welcome.Capabilities)
			}
			names = append(names, c.name)
			if i > rushLogins {
				late = append(late, c)
			}
		}
		synctest.Wait()
		for _, c := range late {
			if wholes, _, _ := c.told(); wholes != 0 {
				t.Fatalf("%s was told of everybody in the middle of the rush", c.name)
			}
		}
		pass(rushGap)
		packed := 0
		for _, c := range late {
			c.sees(names...)
			wholes, deltas, p := c.told()
			if wholes != 1 || deltas > 0 {
				t.Errorf("%s had %d snapshots and %d changes", c.name, wholes, deltas)
			}
			if p > 0 && len(c.welcome.Capabilities) == 0 {
				t.Errorf("%s was sent what it can't read", c.name)
			}
			packed += p
		}
		if packed < len(late)/2-1 { // who asks first has it plain
			t.Errorf("%d of %d were told in a compressed frame", packed, len(late))
		}
		ann.sees(names...)
	})
}

// told is how many snapshots and changes came, and how many frames of them were
// compressed.
func (c *client) told() (wholes, deltas, packed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wholes, c.deltas, c.packed
}
