package hostnet

import (
	"math/rand/v2"
	"net"
	"time"
)

// Guard has the system itself find out that the other host of a TCP connection
// is gone, or the way there: reads and writes fail then, within about that time
// (seconds; the shortest is 3), whether something is on its way or not. While
// nothing is said it asks the other system, which answers without its program;
// first when between 45 and 65 % of the time are over, so that whoever speaks
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

// guardTimes are those of the questions: after how long the first comes, at the
// earliest and at the latest, and how far apart the others are.
//
// Thousands of connections fall silent at the same moment, when all have been
// told of the same change. If they asked at the same moment, too, a queue of the
// system would be too short (Linux's loopback has room for 1,000 packets), and
// those which it drops would be dropped again with the next question: 16,000 of
// 20,000 connections were lost so.
func guardTimes(within time.Duration) (earliest, latest, interval time.Duration) {
	return within * 45 / 100, within * 65 / 100, max(within/20, time.Second)
}

// guardProbes is how many questions may stay without an answer. They would last
// beyond the end of the time, which giveUpAfter sets, too.
const guardProbes = 8

// guard asks by TCP's keepalive (RFC 9293, 3.8.4), and bounds how long data may
// stay unacknowledged, since nothing is asked while some is.
func guard(c *net.TCPConn, within time.Duration) bool {
	idle, latest, interval := guardTimes(within)
	idle += rand.N(latest - idle)
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
