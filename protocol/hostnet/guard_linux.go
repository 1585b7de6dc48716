package hostnet

import (
	"time"

	"golang.org/x/sys/unix"
)

// giveUpAfter bounds how long data may stay unacknowledged (RFC 5482).
func giveUpAfter(fd uintptr, d time.Duration) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
}
