package session

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"earshot/p2p"
	"earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// The versions of the conversation between two devices that this one speaks.
const (
	versionMin = 1
	versionMax = 1
)

// errFrame is a frame that means nothing, and ends its connection.
var errFrame = errors.New("a frame that breaks the protocol")

// errVersion is a device that speaks only versions that this one doesn't.
var errVersion = errors.New("no version in common")

// errName is a device that says it belongs to somebody else than the roster.
var errName = errors.New("the device says that it belongs to somebody else")

const (
	idSize = len(p2p.ItemID{})
	// frameWithin is how long the rest of a frame may take once it has begun.
	frameWithin = 30 * time.Second
	headerSize  = 4
)

// checkItem checks what holds for every item; what its body means is its
// receiver's business.
func checkItem(i *wire.Item) error {
	if len(i.GetId()) != idSize {
		return fmt.Errorf("%w: an item's ID has %d bytes", errFrame, len(i.GetId()))
	}
	text, refs := "", [][]byte(nil)
	switch b := i.GetBody().(type) {
	case *wire.Item_Text:
		text = b.Text.GetText()
		if to := b.Text.GetReplyTo(); len(to) > 0 {
			refs = [][]byte{to}
		}
	case *wire.Item_Edit:
		text, refs = b.Edit.GetText(), [][]byte{b.Edit.GetOf()}
	case *wire.Item_Delete:
		refs = [][]byte{b.Delete.GetOf()}
	case *wire.Item_Seen:
		refs = b.Seen.GetOf()
	case *wire.Item_Acknowledge:
		refs = [][]byte{b.Acknowledge.GetOf()}
	}
	if len(text) > p2p.MaxText {
		return fmt.Errorf("%w: a text has %d bytes, and %d is the limit", errFrame, len(text), p2p.MaxText)
	}
	if !utf8.ValidString(text) {
		return fmt.Errorf("%w: a text is not UTF-8", errFrame)
	}
	for _, id := range refs {
		if len(id) != idSize {
			return fmt.Errorf("%w: a reference to an item has %d bytes", errFrame, len(id))
		}
	}
	return nil
}

// checkFrame checks a frame that comes after the hello. One that this version
// doesn't know is fine.
func checkFrame(f *wire.ToPeer) error {
	switch b := f.GetBody().(type) {
	case *wire.ToPeer_Hello:
		return fmt.Errorf("%w: a second hello", errFrame)
	case *wire.ToPeer_Item:
		return checkItem(b.Item)
	case *wire.ToPeer_Ack:
		if len(b.Ack.GetId()) != idSize {
			return fmt.Errorf("%w: an acknowledged ID has %d bytes", errFrame, len(b.Ack.GetId()))
		}
	}
	return nil
}

// hello is this device's first frame.
func hello(name string) []byte {
	return wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Hello{Hello: &wire.PeerHello{
		VersionMin: versionMin, VersionMax: versionMax, Name: name,
	}}})
}

// checkHello checks the other side's first frame.
func checkHello(f *wire.ToPeer, name string) error {
	h := f.GetHello()
	switch {
	case h == nil:
		return fmt.Errorf("%w: no hello", errFrame)
	case h.GetVersionMin() > versionMax || h.GetVersionMax() < versionMin:
		return fmt.Errorf("%w: it speaks %d to %d", errVersion, h.GetVersionMin(), h.GetVersionMax())
	case classic.NameKey(h.GetName()) != classic.NameKey(name):
		return errName
	}
	return nil
}

// reader reads frames and gives none of them forever.
type reader struct {
	in *bufio.Reader
	// deadline sets when reading fails; zero is never.
	deadline func(time.Time) error
}

func newReader(in io.Reader, deadline func(time.Time) error) *reader {
	return &reader{bufio.NewReaderSize(in, 8<<10), deadline}
}

// next returns the next frame and its size, after checking it with check. It
// waits forever for a frame's beginning and frameWithin for its rest.
func (r *reader) next(check func(*wire.ToPeer) error) (f *wire.ToPeer, size int, err error) {
	if _, err := r.in.Peek(1); err != nil {
		return nil, 0, err
	}
	if !r.whole() {
		if err := r.deadline(time.Now().Add(frameWithin)); err != nil {
			return nil, 0, err
		}
		defer r.deadline(time.Time{}) //nolint:errcheck // a stream that is gone fails the next read
	}
	header, err := r.in.Peek(headerSize)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, 0, err
	}
	size = frameSize(header)
	f = new(wire.ToPeer)
	if err := wire.Read(r.in, wire.MaxToPeer, f); err != nil {
		return nil, 0, err
	}
	return f, size, check(f)
}

// whole says that all of the next frame is there.
func (r *reader) whole() bool {
	n := r.in.Buffered()
	if n < headerSize {
		return false
	}
	header, _ := r.in.Peek(headerSize) // they are there
	return n >= frameSize(header)
}

// frameSize is how long a frame is at most that begins with header.
func frameSize(header []byte) int {
	return headerSize + int(min(binary.BigEndian.Uint32(header), wire.MaxToPeer))
}

// lower says who of two devices dials first, and whose connection stays.
func lower(a, b identity.ID) bool { return string(a[:]) < string(b[:]) }

// typing is the sign that this person writes, or has stopped.
func typing(active bool) []byte {
	return wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Typing{Typing: &wire.Typing{Active: active}}})
}
