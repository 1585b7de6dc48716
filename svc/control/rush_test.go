package control

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/rush"
)

// Who comes in a rush is let in at once, and told of everybody once it is over,
// in one go; so is who was there before.
func TestToldAfterTheRush(t *testing.T) {
	inWorld(t, func(w *world) {
		ann := w.login(1, "Ann")
		names := []string{"Ann"}
		var late []*client
		for i := range 3 * rush.Logins {
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
			if i > rush.Logins {
				late = append(late, c)
			}
		}
		synctest.Wait()
		for _, c := range late {
			if wholes, _, _ := c.told(); wholes != 0 {
				t.Fatalf("%s was told of everybody in the middle of the rush", c.name)
			}
		}
		pass(2 * rush.Gap)
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
