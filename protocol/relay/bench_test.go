package relay_test

import (
	"bufio"
	"bytes"
	"fmt"
	"testing"

	"earshot/protocol/relay"
)

// packetSizes are QUIC's: one with an acknowledgement, and a full one.
var packetSizes = []int{64, 1280}

// BenchmarkFrame is what a packet costs as a frame: read from a stream, and
// queued for another one. Its floor is to copy as many bytes, twice.
func BenchmarkFrame(b *testing.B) {
	for _, size := range packetSizes {
		frame := relay.AppendPacket(nil, &ann, make([]byte, size))
		stream := bytes.Repeat(frame, 100)
		b.Run(fmt.Sprint(size, "/floor"), func(b *testing.B) {
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			one, two := make([]byte, len(stream)), make([]byte, len(stream))
			for at := 0; b.Loop(); at = (at + len(frame)) % len(stream) {
				copy(one, stream[at:at+len(frame)])
				copy(two[at:], one[:len(frame)])
			}
		})
		b.Run(fmt.Sprint(size, "/frame"), func(b *testing.B) {
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			source := bytes.NewReader(stream)
			in := bufio.NewReaderSize(source, 8<<10)
			var f relay.Frame
			var q relay.Queue
			var batch relay.Batch
			for n := 0; b.Loop(); n++ {
				if n%100 == 0 {
					source.Reset(stream)
					in.Reset(source)
				}
				if err := relay.Read(in, &f); err != nil {
					b.Fatal(err)
				}
				if !q.Put(&f.Device, f.Packet) {
					b.Fatal("there is no room")
				}
				if n%10 == 9 { // as many as one record of TLS holds
					q.Take(&batch)
					for batch.Next() != nil {
						batch.Drop()
					}
				}
			}
		})
	}
}
