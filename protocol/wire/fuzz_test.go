package wire_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"

	"google.golang.org/protobuf/proto"

	"earshot/protocol/wire"
)

// fuzzRead reads what it is given as frames of one direction, until it ends.
func fuzzRead(f *testing.F, name string) {
	d, ok := directions[name]
	if !ok || len(d.samples) == 0 {
		f.Fatalf("no samples %s", name)
	}
	for _, s := range d.samples {
		frame := wire.Append(nil, s.message)
		if err := wire.Read(bytes.NewReader(frame), d.limit, d.fresh()); err != nil {
			f.Fatalf("the seed %s: %v", s.name, err)
		}
		f.Add(frame)
		f.Add(frame[:len(frame)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			m := d.fresh()
			err := wire.Read(r, d.limit, m)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, wire.ErrFrame) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			again := d.fresh()
			if err := wire.Read(bytes.NewReader(wire.Append(nil, m)), d.limit, again); err != nil || !proto.Equal(m, again) {
				t.Fatalf("%v is written as %v, %v", m, again, err)
			}
		}
	})
}

func FuzzReadToCoordinator(f *testing.F) { fuzzRead(f, "to coordinator") }

func FuzzReadToClient(f *testing.F) { fuzzRead(f, "to client") }

func FuzzReadToPeer(f *testing.F) { fuzzRead(f, "to peer") }

func FuzzParseAddress(f *testing.F) {
	for _, text := range []string{"10.0.0.7:13277", "[2001:db8::7]:13277"} {
		seed := wire.Address(netip.MustParseAddrPort(text))
		if _, err := wire.ParseAddress(seed); err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := wire.ParseAddress(b)
		if err != nil {
			if !errors.Is(err, wire.ErrAddress) {
				t.Fatal(err)
			}
			return
		}
		if again, err := wire.ParseAddress(wire.Address(a)); err != nil || again != a {
			t.Fatalf("%x reads as %v, and that as %v, %v", b, a, again, err)
		}
	})
}
