package hostnet

import (
	"net"
	"time"
)

// Guard has the system itself find out that the other host of a TCP connection
// is gone, or the way there: reads and writes fail then, within about that time
// (seconds; the shortest is 3), whether something is on its way or not. While
// nothing is said it asks the other system, which answers without its program;
// the first time when two thirds of the time are over, so that whoever speaks
// more often than that costs nothing. A program that hangs is not found out.
//
// It is false where the system can't, or c is no TCP connection of this package.
func Guard(c net.Conn, within time.Duration) bool {
	switch c := c.(type) {
	case interface {
		Guard(within time.Duration) bool
	}:
		return c.Guard(within)
	case *net.TCPConn:
		return guard(c, within)
	}
	return false
}

// guardTimes are those of the questions: after how long the first comes, and
// how far apart the others are.
func guardTimes(within time.Duration) (idle, interval time.Duration) {
	return within * 2 / 3, max(within/12, time.Second)
}

// guardProbes is how many questions may stay without an answer.
const guardProbes = 4

// guard asks by TCP's keepalive (RFC 9293, 3.8.4), and bounds how long data may
// stay unacknowledged, since nothing is asked while some is.
func guard(c *net.TCPConn, within time.Duration) bool {
	idle, interval := guardTimes(within)
	if c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: idle, Interval: interval, Count: guardProbes}) != nil {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	controlErr := raw.Control(func(fd uintptr) { err = giveUpAfter(fd, within) })
	return controlErr == nil && err == nil
}
