package wire_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"earshot/protocol/wire"
)

// compressed is a frame's message that holds what it is given.
func compressed(content []byte) *wire.ToClient {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = w.Write(content)
	_ = w.Close()
	return &wire.ToClient{Body: &wire.ToClient_Deflate{Deflate: b.Bytes()}}
}

// Every frame to a client is the same compressed and decompressed.
func TestCompressed(t *testing.T) {
	for _, s := range toClient {
		frame := wire.AppendCompressed([]byte("before"), unhex(t, s.frame))
		m := new(wire.ToClient)
		if err := wire.Read(bytes.NewReader(frame[len("before"):]), wire.MaxToClient, m); err != nil {
			t.Fatal(err)
		}
		want := s.message
		if s.name == "compressed" {
			if err := wire.Decompress(m); !errors.Is(err, wire.ErrFrameContent) {
				t.Errorf("what is compressed twice gives %v", err)
			}
			continue
		}
		if err := wire.Decompress(m); err != nil || !proto.Equal(m, want) {
			t.Errorf("%s is %v, %v", s.name, m, err)
		}
	}
	plain := &wire.ToClient{Body: &wire.ToClient_Ping{Ping: new(wire.Ping)}}
	m := &wire.ToClient{Body: &wire.ToClient_Deflate{Deflate: compressedPing}}
	if err := wire.Decompress(m); err != nil || !proto.Equal(m, plain) {
		t.Errorf("what was put together by hand is %v, %v", m, err)
	}
	if err := wire.Decompress(plain); err != nil || plain.GetPing() == nil {
		t.Errorf("what is not compressed becomes %v, %v", plain, err)
	}
}

// What is not compressed, or comes to more than a client takes, is refused before
// it costs memory.
func TestCompressedWrongly(t *testing.T) {
	largest := wire.Append(nil, &wire.ToClient{Body: &wire.ToClient_Refused{Refused: &wire.Refused{Sentence: strings.Repeat("x", wire.MaxToClient-8)}}})[4:]
	if len(largest) != wire.MaxToClient {
		t.Fatal(len(largest))
	}
	if err := wire.Decompress(compressed(largest)); err != nil {
		t.Errorf("the largest message: %v", err)
	}
	for name, m := range map[string]*wire.ToClient{
		"too large":      compressed(append(largest, 0)),
		"zeros":          compressed(make([]byte, 1<<24)),
		"not compressed": {Body: &wire.ToClient_Deflate{Deflate: []byte("not compressed")}},
		"cut":            {Body: &wire.ToClient_Deflate{Deflate: compressedPing[:6]}},
		"nothing":        {Body: &wire.ToClient_Deflate{}},
		"no message":     compressed([]byte("no message")),
	} {
		if err := wire.Decompress(m); !errors.Is(err, wire.ErrFrame) {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

// FuzzDecompress has garbage decompressed, and what it may be compressed again.
func FuzzDecompress(f *testing.F) {
	for _, s := range toClient {
		frame := wire.Append(nil, s.message)
		m := new(wire.ToClient)
		if err := wire.Read(bytes.NewReader(wire.AppendCompressed(nil, frame)), wire.MaxToClient, m); err != nil {
			f.Fatalf("the seed %s: %v", s.name, err)
		}
		f.Add(m.GetDeflate())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &wire.ToClient{Body: &wire.ToClient_Deflate{Deflate: b}}
		if err := wire.Decompress(m); err != nil {
			if !errors.Is(err, wire.ErrFrame) {
				t.Fatal(err)
			}
			return
		}
		again := new(wire.ToClient)
		if err := wire.Read(bytes.NewReader(wire.AppendCompressed(nil, wire.Append(nil, m))), wire.MaxToClient, again); err != nil {
			t.Fatal(err)
		}
		if err := wire.Decompress(again); err != nil || !proto.Equal(m, again) {
			t.Fatalf("%v is %v, %v", m, again, err)
		}
	})
}
