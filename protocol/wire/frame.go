// Package wire is the secure protocol's messages and their framing.
//
// Everything that two sides say on a connection is a row of frames:
//
//	offset  size  field
//	0       4     n, the size of the message in bytes, big-endian
//	4       n     the message, protobuf (proto3): ToCoordinator, ToClient or ToPeer
//
// The schema is earshot.proto, from which earshot.pb.go is generated.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
)

// ErrFrame is the family of what a frame can be that ends its connection.
var ErrFrame = errors.New("frame")

var (
	// ErrFrameSize is a frame that announces more than its reader takes.
	ErrFrameSize = fmt.Errorf("%w: too large", ErrFrame)
	// ErrFrameContent is a frame whose bytes are no message.
	ErrFrameContent = fmt.Errorf("%w: malformed", ErrFrame)
)

// Limits of a message in bytes, by who reads it.
const (
	MaxToCoordinator = 16 << 10
	MaxToClient      = 256 << 10
	MaxToPeer        = 128 << 10
)

const headerSize = 4

// Append appends m as a frame to dst. It does not check the limit.
func Append(dst []byte, m proto.Message) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, headerSize)...)
	dst, err := proto.MarshalOptions{}.MarshalAppend(dst, m)
	if err != nil {
		panic(err) // only invalid UTF-8 fails, which we never put in
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-headerSize))
	return dst
}

// Read reads one frame into m, which it resets. A message above limit bytes is
// ErrFrameSize before any of it is read. io.EOF is an end between two frames,
// io.ErrUnexpectedEOF one within.
func Read(r io.Reader, limit int, m proto.Message) error {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(header[:])
	if uint64(n) > uint64(limit) {
		return fmt.Errorf("%w: %d bytes, and %d is the limit", ErrFrameSize, n, limit)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if err := proto.Unmarshal(body, m); err != nil {
		return fmt.Errorf("%w: %w", ErrFrameContent, err)
	}
	return nil
}
