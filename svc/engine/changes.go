package engine

import "sync"

// changes are those that OnChange has yet to be told. Whoever adds one doesn't
// wait for that, so that OnChange may take locks which its caller holds.
type changes struct {
	mu     sync.Mutex
	more   sync.Cond
	queue  []change
	closed bool
}

type change struct{ before, after Account }

func (c *changes) init() { c.more.L = &c.mu }

func (c *changes) add(before, after Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, change{before, after})
	c.more.Signal()
}

// end lets deliver return once it has delivered everything.
func (c *changes) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.more.Signal()
}

// deliver hands each change to f, which may be nil, until the end.
func (c *changes) deliver(f func(before, after Account)) {
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && !c.closed {
			c.more.Wait()
		}
		queue := c.queue
		c.queue = nil
		c.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, next := range queue {
			if f != nil {
				f(next.before, next.after)
			}
		}
	}
}
