package session

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/wire"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// FuzzFrames has whatever a device may send read: each frame is either let
// through, and then safe to hand on, or ends the connection.
func FuzzFrames(f *testing.F) {
	var all []byte
	for _, frame := range seedFrames(f) {
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

// seedFrames is one good frame of each kind. It fails if there is a kind in the
// schema that it has none of.
func seedFrames(f *testing.F) (frames [][]byte) {
	f.Helper()
	id := bytes.Repeat([]byte{7}, idSize)
	items := []*wire.Item{
		message("你好"),
		{Id: id, Body: &wire.Item_Edit{Edit: &wire.Edit{Of: id, Text: "x"}}},
		{Id: id, Body: &wire.Item_Delete{Delete: &wire.Delete{Of: id}}},
		{Id: id, Body: &wire.Item_Seen{Seen: &wire.Seen{Of: [][]byte{id, id}}}},
		{Id: id, Body: &wire.Item_Acknowledge{Acknowledge: &wire.Acknowledge{Of: id}}},
	}
	missing := kinds(&wire.ToPeer{})
	maps.Copy(missing, kinds(&wire.Item{}))
	note := func(m proto.Message) {
		m.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			delete(missing, field.FullName())
			return true
		})
	}
	frames = [][]byte{
		hello("Ann"), typing(true), nudge,
		wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Ack{Ack: &wire.Ack{Id: id, Result: wire.Ack_RESULT_REFUSED, Sentence: "No."}}}),
	}
	for _, i := range items {
		note(i)
		frames = append(frames, wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Item{Item: i}}))
	}
	for i, b := range frames {
		frame, _, err := newReader(bytes.NewReader(b), func(time.Time) error { return nil }).next(func(*wire.ToPeer) error { return nil })
		if err != nil {
			f.Fatalf("seed %d: %v", i, err)
		}
		if frame.GetHello() == nil {
			err = checkFrame(frame)
		} else {
			err = checkHello(frame, "Ann")
		}
		if err != nil {
			f.Fatalf("seed %d: %v", i, err)
		}
		note(frame)
	}
	if len(missing) > 0 {
		f.Fatalf("there is no seed for %v", slices.Sorted(maps.Keys(missing)))
	}
	return frames
}

// kinds are the bodies that a message may have.
func kinds(m proto.Message) map[protoreflect.FullName]bool {
	set := make(map[protoreflect.FullName]bool)
	fields := m.ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	for i := range fields.Len() {
		set[fields.Get(i).FullName()] = true
	}
	return set
}
