package roster

import (
	"encoding/binary"
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"

	"earshot/protocol/wire"
)

// chunkSize is how many bytes of frames lie behind one another, so that who is
// behind takes as many in one write.
const chunkSize = 64 << 10

// Limits of one frame of a snapshot.
const (
	snapshotUsers = 500
	snapshotBytes = 64 << 10
)

// log is the newest changes, without gaps. Each is encoded once, when it
// happens, behind the one before it.
type log struct {
	seq   uint64 // of the last change
	lines []line
	bytes int
	last  *chunk
}

// line is a change, and where its frame lies.
type line struct {
	change   Change
	chunk    *chunk
	from, to int
}

// chunk is bytes that are written once: a reader may hold on to those that were
// there when it came, while others are added behind.
type chunk struct {
	buf []byte
	seq uint64 // of the last change in it
}

// append gives a change its number and adds it.
func (l *log) append(c Change, encoded []byte) {
	l.seq++
	c.Seq = l.seq
	size := deltaSize(c, encoded)
	if l.last == nil || cap(l.last.buf)-len(l.last.buf) < size {
		l.last = &chunk{buf: make([]byte, 0, max(chunkSize, size))}
	}
	from := len(l.last.buf)
	l.last.buf = appendDelta(l.last.buf, c, encoded)
	l.last.seq = c.Seq
	l.trim()
	l.lines = append(l.lines, line{c, l.last, from, len(l.last.buf)})
	l.bytes += len(l.last.buf) - from
}

// trim forgets the older half of a log that is full.
func (l *log) trim() {
	if len(l.lines) < 2*MaxLog && l.bytes < 2*MaxLogBytes {
		return
	}
	gone := 0
	for left := len(l.lines); left > MaxLog || l.bytes > MaxLogBytes; left-- {
		l.bytes -= l.lines[gone].to - l.lines[gone].from
		gone++
	}
	kept := copy(l.lines, l.lines[gone:])
	clear(l.lines[kept:])
	l.lines = l.lines[:kept]
}

// from returns the frames from a line's to the end of its chunk, and the number
// of the last of them; it is after if there is no such line.
func (l *log) from(i int, after uint64) ([]byte, uint64) {
	if i == len(l.lines) {
		return nil, after
	}
	first := l.lines[i]
	return first.chunk.buf[first.from:], first.chunk.seq
}

// The numbers of the fields that are put together by hand here, so that a
// user's encoding is copied wherever it is needed (earshot.proto).
const (
	toClientSnapshot = 3
	toClientDelta    = 4

	deltaSequence = 1
	deltaPut      = 2
	deltaGone     = 3

	snapshotEpoch    = 1
	snapshotSequence = 2
	snapshotUser     = 3
	snapshotMore     = 4
)

// sizeDelta returns the size of the Delta that says what happened.
func sizeDelta(c Change, encoded []byte) int {
	n := 1 + protowire.SizeVarint(c.Seq)
	if c.Kind == Left {
		return n + 1 + protowire.SizeVarint(c.User.ID)
	}
	return n + 1 + protowire.SizeBytes(len(encoded))
}

// deltaSize returns the size of appendDelta's frame.
func deltaSize(c Change, encoded []byte) int {
	return frameHeader + 1 + protowire.SizeBytes(sizeDelta(c, encoded))
}

const frameHeader = 4

// appendDelta appends the frame of a change, as wire.Append would.
func appendDelta(b []byte, c Change, encoded []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(deltaSize(c, encoded)-frameHeader))
	b = protowire.AppendTag(b, toClientDelta, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(sizeDelta(c, encoded)))
	b = protowire.AppendTag(b, deltaSequence, protowire.VarintType)
	b = protowire.AppendVarint(b, c.Seq)
	if c.Kind == Left {
		b = protowire.AppendTag(b, deltaGone, protowire.VarintType)
		return protowire.AppendVarint(b, c.User.ID)
	}
	b = protowire.AppendTag(b, deltaPut, protowire.BytesType)
	return protowire.AppendBytes(b, encoded)
}

// Whole is everybody at one position, as frames.
type Whole struct {
	at     Position
	left   []*entry // whose encodings it doesn't copy
	shared *shared  // nil if nobody else has asked
	begun  bool
}

// Whole returns everybody as frames, and the position from which to follow. Who
// asks first for one position puts the frames together; for all others
// they are put together once. So a login costs no memory, and a thousand who
// are told at once cost no time.
func (r *Roster) Whole() (*Whole, Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.position()
	if r.whole.at != at {
		r.whole = whole{at: at}
		return &Whole{at: at, left: slices.Clone(r.all)}, at
	}
	if r.whole.shared == nil {
		r.whole.shared = share(at, slices.Clone(r.all))
	}
	return &Whole{at: at, shared: r.whole.shared}, at
}

// whole is what was asked for last.
type whole struct {
	at     Position
	shared *shared // nil until somebody else asks
}

// shared is all frames of a position, put together when they are asked for and
// then never changed.
type shared struct{ plain, compressed func() []byte }

func share(at Position, all []*entry) *shared {
	plain := sync.OnceValue(func() (frames []byte) {
		w := &Whole{at: at, left: all}
		for more := true; more; {
			frames, more = w.Next(frames)
		}
		return frames
	})
	return &shared{plain, sync.OnceValue(func() []byte { return wire.AppendCompressed(nil, plain()) })}
}

// Shared returns all frames if others write the same ones, which must not be
// changed; nil if Next is to be asked. Compressed ones are for clients of
// wire.CapabilityDeflate. For who asks alone it isn't worth it: to compress takes
// longer than to write.
func (w *Whole) Shared(compressed bool) []byte {
	switch {
	case w.shared == nil:
		return nil
	case compressed:
		return w.shared.compressed()
	}
	return w.shared.plain()
}

// Next appends the next frame of wire.ToClient with a Snapshot to dst. It is
// false, and dst unchanged, once there is none.
func (w *Whole) Next(dst []byte) ([]byte, bool) {
	if w.begun && len(w.left) == 0 || w.shared != nil {
		return dst, false
	}
	w.begun = true
	n, size := 0, 0
	for n < len(w.left) && n < snapshotUsers && size < snapshotBytes {
		size += 1 + protowire.SizeBytes(len(w.left[n].encoded))
		n++
	}
	size += 1 + protowire.SizeVarint(w.at.Epoch) + 1 + protowire.SizeVarint(w.at.Seq) + 2
	dst = binary.BigEndian.AppendUint32(dst, uint32(1+protowire.SizeBytes(size)))
	dst = protowire.AppendTag(dst, toClientSnapshot, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = protowire.AppendTag(dst, snapshotEpoch, protowire.VarintType)
	dst = protowire.AppendVarint(dst, w.at.Epoch)
	dst = protowire.AppendTag(dst, snapshotSequence, protowire.VarintType)
	dst = protowire.AppendVarint(dst, w.at.Seq)
	for _, e := range w.left[:n] {
		dst = protowire.AppendTag(dst, snapshotUser, protowire.BytesType)
		dst = protowire.AppendBytes(dst, e.encoded)
	}
	w.left = w.left[n:]
	dst = protowire.AppendTag(dst, snapshotMore, protowire.VarintType)
	return protowire.AppendVarint(dst, protowire.EncodeBool(len(w.left) > 0)), true
}

// A frame of a snapshot is below what a client takes even if its last user is
// the largest one.
const _ = uint(wire.MaxToClient - snapshotBytes - 64<<10)
