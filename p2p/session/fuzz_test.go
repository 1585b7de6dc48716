package session

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/wire"
)

// FuzzFrames has whatever a device may send read: each frame is either let
// through, and then safe to hand on, or ends the connection.
func FuzzFrames(f *testing.F) {
	id := bytes.Repeat([]byte{7}, idSize)
	var all []byte
	for _, frame := range [][]byte{
		hello("Ann"), typing(true), nudge,
		wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Item{Item: message("你好")}}),
		wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Item{Item: &wire.Item{Id: id, Body: &wire.Item_Edit{Edit: &wire.Edit{Of: id, Text: "x"}}}}}),
		wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Item{Item: &wire.Item{Id: id, Body: &wire.Item_Seen{Seen: &wire.Seen{Of: [][]byte{id, id}}}}}}),
		wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Ack{Ack: &wire.Ack{Id: id, Result: wire.Ack_RESULT_REFUSED, Sentence: "No."}}}),
	} {
		f.Add(frame)
		all = append(all, frame...)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newReader(bytes.NewReader(b), func(time.Time) error { return nil })
		for {
			frame, size, err := r.next(checkFrame)
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, wire.ErrFrame), errors.Is(err, errFrame):
				return
			case err != nil:
				t.Fatal(err)
			case size > headerSize+wire.MaxToPeer:
				t.Fatalf("a frame has %d bytes", size)
			}
			if i := frame.GetItem(); i != nil && (len(i.GetId()) != idSize || len(i.GetText().GetText()) > p2p.MaxText) {
				t.Fatalf("%v was let through", i)
			}
			_ = checkHello(frame, "Ann") // must not panic
			if a := frame.GetAck(); a != nil {
				_, _ = ackOf(a)
			}
		}
	})
}
