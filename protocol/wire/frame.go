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
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
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

// Append appends m as a frame to dst. It does not check the limit. A string
// that is not valid UTF-8, which the other side would refuse with the whole
// frame, goes with U+FFFD for what is wrong in it; m stays as it is.
func Append(dst []byte, m proto.Message) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, headerSize)...)
	framed, err := proto.MarshalOptions{}.MarshalAppend(dst, m)
	if err != nil {
		valid := proto.Clone(m)
		makeValid(valid.ProtoReflect())
		if framed, err = (proto.MarshalOptions{}).MarshalAppend(dst, valid); err != nil {
			panic(err) // nothing but invalid UTF-8 fails: the schema requires no field
		}
	}
	dst = framed
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-headerSize))
	return dst
}

// makeValid replaces what is no UTF-8 in a message's strings, at any depth.
func makeValid(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		isString, isMessage := field.Kind() == protoreflect.StringKind, field.Message() != nil
		switch {
		case field.IsList() && (isString || isMessage):
			list := value.List()
			for i := range list.Len() {
				if isMessage {
					makeValid(list.Get(i).Message())
				} else {
					list.Set(i, validString(list.Get(i)))
				}
			}
		case isMessage:
			makeValid(value.Message())
		case isString:
			m.Set(field, validString(value))
		}
		return true
	})
}

func validString(v protoreflect.Value) protoreflect.Value {
	return protoreflect.ValueOfString(strings.ToValidUTF8(v.String(), "\uFFFD"))
}

// Read reads one frame into m, which it resets. A message above limit bytes is
// ErrFrameSize before any of it is read. io.EOF is an end between two frames,
// io.ErrUnexpectedEOF one within. Fields that the schema doesn't know are
// dropped, so that nobody has them passed on beyond every limit.
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
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, m); err != nil {
		return fmt.Errorf("%w: %w", ErrFrameContent, err)
	}
	return nil
}
