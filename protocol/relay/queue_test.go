package relay_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"sync"
	"testing"

	"earshot/protocol/identity"
	"earshot/protocol/relay"
)

// drain takes everything out of a queue and returns the packets.
func drain(t *testing.T, q *relay.Queue, b *relay.Batch) (packets [][]byte, from []identity.PublicKey) {
	t.Helper()
	q.Take(b)
	for row := b.Next(); row != nil; row = b.Next() {
		in := bufio.NewReaderSize(bytes.NewReader(row), 4096)
		for range len(row) {
			var f relay.Frame
			if relay.Read(in, &f) != nil {
				break
			}
			packets, from = append(packets, bytes.Clone(f.Packet)), append(from, f.Device)
		}
		b.Drop()
	}
	return packets, from
}

func TestQueueKeepsOrder(t *testing.T) {
	var q relay.Queue
	var b relay.Batch
	for round := range 3 {
		for i := range 100 {
			packet := bytes.Repeat([]byte{byte(i)}, 1+i*14)
			if !q.Put(&ann, packet) {
				t.Fatalf("round %d: packet %d has no room", round, i)
			}
		}
		packets, from := drain(t, &q, &b)
		if len(packets) != 100 {
			t.Fatalf("round %d: %d packets", round, len(packets))
		}
		for i, p := range packets {
			if !bytes.Equal(p, bytes.Repeat([]byte{byte(i)}, 1+i*14)) || from[i] != ann {
				t.Fatalf("round %d: packet %d is %d of %d", round, i, len(p), p[0])
			}
		}
	}
}

// What does not fit is dropped, the newest, and what has been written makes
// room.
func TestQueueIsBounded(t *testing.T) {
	var q relay.Queue
	var b relay.Batch
	fill := func() (n int) {
		for q.Put(&ann, largest) {
			n++
		}
		return n
	}
	first := fill()
	if size := first * relay.MaxFrame; size > relay.MaxQueue || size < relay.MaxQueue-relay.MaxFrame {
		t.Fatalf("%d bytes were taken", size)
	}
	q.Take(&b)
	if n := fill(); n != 0 {
		t.Fatalf("%d packets beyond those being written", n)
	}
	row := len(b.Next())
	b.Drop()
	if n := fill(); n != row/relay.MaxFrame {
		t.Fatalf("%d packets in the room of %d bytes", n, row)
	}
	for b.Next() != nil {
		b.Drop()
	}
	if packets, _ := drain(t, &q, &b); len(packets) != row/relay.MaxFrame {
		t.Fatalf("%d packets were left", len(packets))
	}
	if n := fill(); n != first {
		t.Fatalf("%d packets after all, and %d at first", n, first)
	}
	q.Close()
	if q.Put(&ann, []byte{1}) {
		t.Fatal("a closed queue takes packets")
	}
	if packets, _ := drain(t, &q, &b); packets != nil {
		t.Fatalf("a closed queue has %d packets", len(packets))
	}
}

func TestQueueTakesPackets(t *testing.T) {
	var q relay.Queue
	if q.Put(&ann, nil) || q.Put(&ann, append(largest, 1)) {
		t.Fatal("what is no packet was taken")
	}
}

// Many put, one takes: each one's packets come out in order.
func TestQueueConcurrent(t *testing.T) {
	const senders, each = 4, 2000
	var q relay.Queue
	var sending sync.WaitGroup
	taken := make([]int, senders) // by whom, and that were dropped
	for s := range senders {
		sending.Go(func() {
			for i := range uint32(each) {
				if q.Put(&identity.PublicKey{byte(s)}, binary.BigEndian.AppendUint32(nil, i)) {
					taken[s]++
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { sending.Wait(); close(done) }()
	var b relay.Batch
	got, last := make([]int, senders), make([]int64, senders)
	for s := range last {
		last[s] = -1
	}
	for ended := false; ; {
		packets, from := drain(t, &q, &b)
		for i, p := range packets {
			s, n := from[i][0], int64(binary.BigEndian.Uint32(p))
			if n <= last[s] {
				t.Fatalf("%d of sender %d after %d", n, s, last[s])
			}
			last[s] = n
			got[s]++
		}
		if ended && len(packets) == 0 {
			break
		}
		select {
		case <-done:
			ended = true
		default:
		}
	}
	for s := range senders {
		if got[s] != taken[s] {
			t.Errorf("%d packets of sender %d, who put %d", got[s], s, taken[s])
		}
	}
}

func TestQueueDoesNotAllocate(t *testing.T) {
	var q relay.Queue
	var b relay.Batch
	round := func() {
		for range 40 {
			q.Put(&ann, largest)
		}
		q.Take(&b)
		for b.Next() != nil {
			b.Drop()
		}
	}
	round()
	round()
	if n := testing.AllocsPerRun(200, round); n > 1 { // the collector may empty the pool meanwhile
		t.Errorf("40 packets allocate %v times", n)
	}
}
