package relay

import (
	"sync"

	"earshot/protocol/identity"
)

// MaxQueue is how many bytes of frames a Queue holds.
const MaxQueue = 256 << 10

// chunkSize is the most that one TLS record holds (RFC 8446, 5.1), and so one
// write to the network.
const chunkSize = 16 << 10

type chunk struct {
	n     int
	bytes [chunkSize]byte
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// Queue holds packets that wait to be written, as frames. Many put them in, and
// never wait; one takes out all there are, to write them in one go. A queue
// that is empty has no buffers. The zero Queue is empty.
type Queue struct {
	mu     sync.Mutex
	full   []*chunk
	size   int
	closed bool
}

// Put appends a packet, of 1 to MaxPacket bytes, as a frame. It is false if the
// packet was dropped, because there is no room or the queue is closed.
func (q *Queue) Put(device *identity.PublicKey, packet []byte) bool {
	size := sizeSize + 1 + keySize + len(packet)
	if len(packet) == 0 || len(packet) > MaxPacket {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.size+size > MaxQueue {
		return false
	}
	var last *chunk
	if n := len(q.full); n > 0 {
		last = q.full[n-1]
	}
	if last == nil || last.n+size > chunkSize {
		last = chunks.Get().(*chunk)
		q.full = append(q.full, last)
	}
	last.n = len(AppendPacket(last.bytes[:last.n], device, packet))
	q.size += size
	return true
}

// Batch is what was taken from a Queue. The zero Batch is empty, and is to be
// used again and again.
type Batch struct {
	chunks []*chunk
	queue  *Queue
}

// Take moves everything into b, which is empty. What is taken counts as queued
// until Drop.
func (q *Queue) Take(b *Batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b.chunks, q.full, b.queue = q.full, b.chunks[:0], q
}

// Next returns the next row of whole frames, and nil if there is none. It is
// good until Drop.
func (b *Batch) Next() []byte {
	if len(b.chunks) == 0 {
		return nil
	}
	return b.chunks[0].bytes[:b.chunks[0].n]
}

// Drop lets go of what Next has returned.
func (b *Batch) Drop() {
	c := b.chunks[0]
	b.queue.mu.Lock()
	b.queue.size -= c.n
	b.queue.mu.Unlock()
	c.n = 0
	chunks.Put(c)
	copy(b.chunks, b.chunks[1:])
	b.chunks = b.chunks[:len(b.chunks)-1]
}

// Close drops what is queued, and what is put from now on.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, c := range q.full {
		c.n = 0
		chunks.Put(c)
	}
	q.full, q.size = nil, 0
}
