package hostnet

import (
	"net"
	"time"

	"golang.org/x/sys/windows"
)

// tcpMaxRT is Winsock's TCP_MAXRT: for how many seconds data is sent again.
const tcpMaxRT = 5

// giveUpAfter bounds how long data may stay unacknowledged.
func giveUpAfter(fd uintptr, d time.Duration) error {
	return windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_TCP, tcpMaxRT, int(d/time.Second))
}

// Guard is what the function of that name does.
func (c tcpConn) Guard(within time.Duration) bool { return guard(c.Conn.(*net.TCPConn), within) }
