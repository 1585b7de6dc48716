// Package relay is what a device and the coordinator's relay say to each other:
// frames with packets for and from other devices, which only those can read.
//
// A frame, numbers big-endian:
//
//	offset  size  field
//	0       2     n, the size of what follows, 1 to 1,533
//	2       1     type
//	3       n-1   body
//
// The bodies, by type, and who sends them:
//
//	1  PACKET  both    32 bytes: the device that it is for (to the relay) or from (from it); 1 to 1,500 bytes: the packet
//	2  OPEN    device  32 bytes: a device whose packets are wanted
//	3  CLOSE   device  32 bytes: a device whose packets are wanted no more
//	4  STATE   relay   32 bytes: a device; 1 byte: State
//	5  PING    device  8 bytes, any
//	6  PONG    relay   those 8 bytes
//
// A device is its Ed25519 key (identity.PublicKey). A frame of an unknown type
// is skipped, and so is a STATE that is unknown. A body of another size than
// its type's ends the connection.
package relay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"earshot/protocol/identity"
)

// Limits in bytes.
const (
	// MaxPacket is the largest packet.
	MaxPacket = 1500
	// MaxFrame is the largest frame, its size included.
	MaxFrame = sizeSize + 1 + keySize + MaxPacket
)

const (
	sizeSize = 2
	keySize  = len(identity.PublicKey{})
	dataSize = 8
	maxRest  = MaxFrame - sizeSize // what n may be
)

// ErrFrame is what no frame can be; it ends the connection.
var ErrFrame = errors.New("this is no frame of the relay")

// Type is a frame's type.
type Type uint8

// The types.
const (
	Packet Type = 1 + iota
	Open
	Close
	State
	Ping
	Pong
)

// Status is what a STATE says about another device.
type Status uint8

// The statuses.
const (
	// Ready: both have opened each other, and packets go both ways.
	Ready Status = 1 + iota
	// Gone: the other device has not opened this one, or isn't here.
	Gone
	// OverQuota: one of the two has had carried what it may in a day.
	OverQuota
	// Full: this device has opened as many as it may, and so not this one.
	Full
)

// Frame is a frame that was read. Which fields mean something depends on Type.
type Frame struct {
	Type   Type
	Device identity.PublicKey // Packet, Open, Close, State
	Status Status             // State
	Data   [dataSize]byte     // Ping, Pong
	Packet []byte             // Packet; it lies in the reader's buffer
}

// Read reads the next frame into f. f.Packet is good until the reader is used
// again. r's buffer has at least MaxFrame bytes. A frame of an unknown type is
// returned as such, and to be skipped. io.EOF is an end between two frames,
// io.ErrUnexpectedEOF one within, ErrFrame what can't be a frame; other errors
// are those of what r reads.
func Read(r *bufio.Reader, f *Frame) error {
	size, err := r.Peek(sizeSize)
	if err != nil {
		if err == io.EOF && len(size) > 0 {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	n := int(binary.BigEndian.Uint16(size))
	if n < 1 || n > maxRest {
		return fmt.Errorf("%w: it has %d bytes", ErrFrame, n)
	}
	whole, err := r.Peek(sizeSize + n)
	if err != nil {
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	if _, err := r.Discard(len(whole)); err != nil {
		return err // it was there a moment ago
	}
	return f.parse(Type(whole[sizeSize]), whole[sizeSize+1:])
}

// Buffered says whether Read would return without waiting.
func Buffered(r *bufio.Reader) bool {
	have := r.Buffered()
	if have < sizeSize {
		return false
	}
	size, err := r.Peek(sizeSize)
	if err != nil {
		return false
	}
	n := int(binary.BigEndian.Uint16(size))
	return n > maxRest || have >= sizeSize+n
}

// parse reads a body.
func (f *Frame) parse(t Type, body []byte) error {
	f.Type, f.Packet = t, nil
	least, most := 0, maxRest
	switch t {
	case Packet:
		least, most = keySize+1, keySize+MaxPacket
	case Open, Close:
		least, most = keySize, keySize
	case State:
		least, most = keySize+1, keySize+1
	case Ping, Pong:
		least, most = dataSize, dataSize
	}
	if len(body) < least || len(body) > most {
		return fmt.Errorf("%w: one of type %d with %d bytes", ErrFrame, t, len(body))
	}
	switch t {
	case Packet:
		f.Device, f.Packet = identity.PublicKey(body[:keySize]), body[keySize:]
	case Open, Close:
		f.Device = identity.PublicKey(body)
	case State:
		f.Device, f.Status = identity.PublicKey(body[:keySize]), Status(body[keySize])
	case Ping, Pong:
		f.Data = [dataSize]byte(body)
	}
	return nil
}

// AppendPacket appends a PACKET to dst. The packet has 1 to MaxPacket bytes,
// which is not checked.
func AppendPacket(dst []byte, device *identity.PublicKey, packet []byte) []byte {
	dst = append(header(dst, Packet, keySize+len(packet)), device[:]...)
	return append(dst, packet...)
}

// AppendOpen appends an OPEN to dst.
func AppendOpen(dst []byte, device identity.PublicKey) []byte {
	return append(header(dst, Open, keySize), device[:]...)
}

// AppendClose appends a CLOSE to dst.
func AppendClose(dst []byte, device identity.PublicKey) []byte {
	return append(header(dst, Close, keySize), device[:]...)
}

// AppendState appends a STATE to dst.
func AppendState(dst []byte, device identity.PublicKey, s Status) []byte {
	return append(append(header(dst, State, keySize+1), device[:]...), byte(s))
}

// AppendPing appends a PING to dst.
func AppendPing(dst []byte, data [dataSize]byte) []byte {
	return append(header(dst, Ping, dataSize), data[:]...)
}

// AppendPong appends a PONG to dst.
func AppendPong(dst []byte, data [dataSize]byte) []byte {
	return append(header(dst, Pong, dataSize), data[:]...)
}

func header(dst []byte, t Type, body int) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(1+body)), byte(t))
}
