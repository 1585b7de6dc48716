package hostnet

import (
	"errors"
	"syscall"
	"time"
)

// Guard is what the function of that name does. The other system answers if
// everything between both hosts is on the network, and has power.
func (c *simConn) Guard(within time.Duration) bool {
	c.host.sim.mu.Lock()
	defer c.host.sim.mu.Unlock()
	c.heard = time.Now()
	_, idle, _ := guardTimes(within)
	c.host.sim.after(idle, func() { c.ask(within) })
	return true
}

// ask asks the other system if it wasn't heard for a while, and comes back until
// the connection ends, or there was no answer for too long.
func (c *simConn) ask(within time.Duration) {
	if c.closed || c.failed != nil {
		return
	}
	_, idle, interval := guardTimes(within)
	quiet := time.Since(c.heard)
	if quiet < idle {
		c.host.sim.after(idle-quiet, func() { c.ask(within) })
		return
	}
	switch err := c.answer(); {
	case err == nil:
		c.heard = time.Now()
		c.host.sim.after(idle, func() { c.ask(within) })
	case errors.Is(err, syscall.ETIMEDOUT) && quiet < within:
		c.host.sim.after(interval, func() { c.ask(within) })
	default:
		c.fail(err)
	}
}

// answer is what comes back now from the other system, or from a router that
// knows nothing of the connection; nothing is ETIMEDOUT.
func (c *simConn) answer() error {
	far := c.peer.host
	switch {
	case c.host.down || far.down || !c.route.up():
		return syscall.ETIMEDOUT
	case c.route.gone && !c.route.silent, far.dead && far.network.host(c.peer.local.Addr()) != nil:
		return syscall.ECONNRESET
	case c.route.gone || far.dead:
		return syscall.ETIMEDOUT
	}
	return nil
}
