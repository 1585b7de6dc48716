package hostnet

import "net"

// MaxSegments and MaxSegmentBytes bound what WriteSegments takes: as many
// datagrams as Linux takes at once, and as many bytes as one datagram may have.
const (
	MaxSegments     = 64
	MaxSegmentBytes = 65507
)

// WriteSegments writes the bytes of b to a connected UDP socket as datagrams of
// size bytes, the last of which may be shorter. It is what as many calls of
// Write would do, and where the system takes them all at once (Linux's
// UDP_SEGMENT) costs a fifth of that. An error is about the first datagram that
// did not leave; none of those behind it has left.
func WriteSegments(conn net.Conn, b []byte, size int) error {
	if len(b) > size {
		if done, err := writeAtOnce(conn, b, size); done {
			return err
		}
	}
	for len(b) > 0 {
		n := min(size, len(b))
		if _, err := conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
