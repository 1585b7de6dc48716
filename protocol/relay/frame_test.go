package relay_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"earshot/protocol/identity"
	"earshot/protocol/relay"
)

var (
	ann = identity.PublicKey(bytes.Repeat([]byte{0xAA}, 32))
	key = strings.Repeat("aa", 32)
	// largest is as much as a packet can be.
	largest = bytes.Repeat([]byte{0x5A}, relay.MaxPacket)
)

// vectors are all types, encoded by hand.
var vectors = []struct {
	name    string
	hex     string
	encoded []byte
	frame   relay.Frame
}{
	{"packet", "0024" + "01" + key + "c0ffee", relay.AppendPacket(nil, &ann, []byte{0xC0, 0xFF, 0xEE}),
		relay.Frame{Type: relay.Packet, Device: ann, Packet: []byte{0xC0, 0xFF, 0xEE}}},
	{"smallest packet", "0022" + "01" + key + "00", relay.AppendPacket(nil, &ann, []byte{0}),
		relay.Frame{Type: relay.Packet, Device: ann, Packet: []byte{0}}},
	{"largest packet", "05fd" + "01" + key + strings.Repeat("5a", 1500), relay.AppendPacket(nil, &ann, largest),
		relay.Frame{Type: relay.Packet, Device: ann, Packet: largest}},
	{"open", "0021" + "02" + key, relay.AppendOpen(nil, ann), relay.Frame{Type: relay.Open, Device: ann}},
	{"close", "0021" + "03" + key, relay.AppendClose(nil, ann), relay.Frame{Type: relay.Close, Device: ann}},
	{"ready", "0022" + "04" + key + "01", relay.AppendState(nil, ann, relay.Ready),
		relay.Frame{Type: relay.State, Device: ann, Status: relay.Ready}},
	{"gone", "0022" + "04" + key + "02", relay.AppendState(nil, ann, relay.Gone),
		relay.Frame{Type: relay.State, Device: ann, Status: relay.Gone}},
	{"over quota", "0022" + "04" + key + "03", relay.AppendState(nil, ann, relay.OverQuota),
		relay.Frame{Type: relay.State, Device: ann, Status: relay.OverQuota}},
	{"full", "0022" + "04" + key + "04", relay.AppendState(nil, ann, relay.Full),
		relay.Frame{Type: relay.State, Device: ann, Status: relay.Full}},
	{"ping", "0009" + "05" + "0102030405060708", relay.AppendPing(nil, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}),
		relay.Frame{Type: relay.Ping, Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}}},
	{"pong", "0009" + "06" + "0102030405060708", relay.AppendPong(nil, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}),
		relay.Frame{Type: relay.Pong, Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}}},
}

func same(a, b relay.Frame) bool {
	packet := bytes.Equal(a.Packet, b.Packet)
	return a.Type == b.Type && packet && a.Device == b.Device && a.Status == b.Status && a.Data == b.Data
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		if got := hex.EncodeToString(v.encoded); got != v.hex {
			t.Errorf("%s is written as %s, want %s", v.name, got, v.hex)
		}
		b, err := hex.DecodeString(v.hex)
		if err != nil {
			t.Fatal(err)
		}
		var f relay.Frame
		if err := relay.Read(bufio.NewReader(bytes.NewReader(b)), &f); err != nil || !same(f, v.frame) {
			t.Errorf("%s is read as %+v, %v", v.name, f, err)
		}
	}
}

// All frames, one after the other, through the smallest buffer that does, in
// pieces of every kind.
func TestStream(t *testing.T) {
	var all []byte
	for range 3 {
		for _, v := range vectors {
			all = append(all, v.encoded...)
		}
	}
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(all), "bytes": iotest.OneByteReader(bytes.NewReader(all)),
		"halves": iotest.HalfReader(bytes.NewReader(all)),
	} {
		in := bufio.NewReaderSize(r, relay.MaxFrame)
		for i := range 3 * len(vectors) {
			v := vectors[i%len(vectors)]
			var f relay.Frame
			if err := relay.Read(in, &f); err != nil || !same(f, v.frame) {
				t.Fatalf("%s: %s is read as %+v, %v", name, v.name, f, err)
			}
		}
		if err := relay.Read(in, new(relay.Frame)); !errors.Is(err, io.EOF) {
			t.Fatalf("%s: the end is %v", name, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	cases := []struct {
		name, hex string
		want      error
	}{
		{"nothing", "", io.EOF},
		{"half a size", "00", io.ErrUnexpectedEOF},
		{"no type", "0009", io.ErrUnexpectedEOF},
		{"half a body", "000905010203", io.ErrUnexpectedEOF},
		{"empty", "0000", relay.ErrFrame},
		{"too large", "05fe01", relay.ErrFrame},
		{"far too large", "ffffff", relay.ErrFrame},
		{"an empty packet", "002101" + key, relay.ErrFrame},
		{"a packet from nobody", "000201aa", relay.ErrFrame},
		{"a short open", "002002" + key[2:], relay.ErrFrame},
		{"a long open", "002202" + key + "aa", relay.ErrFrame},
		{"a short close", "002003" + key[2:], relay.ErrFrame},
		{"a state without one", "002104" + key, relay.ErrFrame},
		{"a long state", "002304" + key + "0102", relay.ErrFrame},
		{"a short ping", "00080501020304050607", relay.ErrFrame},
		{"a long pong", "000a06010203040506070809", relay.ErrFrame},
	}
	for _, c := range cases {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if err := relay.Read(bufio.NewReader(bytes.NewReader(b)), new(relay.Frame)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// What is unknown is read past.
func TestUnknown(t *testing.T) {
	for _, unknown := range []string{"000100", "000107", "0004c8010203", "0022" + "04" + key + "63"} {
		b, err := hex.DecodeString(unknown)
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(bytes.NewReader(relay.AppendOpen(b, ann)))
		var f relay.Frame
		if err := relay.Read(in, &f); err != nil || f.Type == relay.Open || f.Packet != nil {
			t.Fatalf("%s is read as %+v, %v", unknown, f, err)
		}
		if err := relay.Read(in, &f); err != nil || f.Type != relay.Open || f.Device != ann {
			t.Fatalf("behind %s is %+v, %v", unknown, f, err)
		}
	}
}

// The error of what is read comes through, such as a deadline's, and reading
// can go on after it.
func TestReadError(t *testing.T) {
	in := bufio.NewReaderSize(iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(relay.AppendOpen(nil, ann)))), relay.MaxFrame)
	var f relay.Frame
	if err := relay.Read(in, &f); !errors.Is(err, iotest.ErrTimeout) {
		t.Fatal(err)
	}
	if err := relay.Read(in, &f); err != nil || f.Device != ann {
		t.Fatalf("%+v, %v", f, err)
	}
}

func TestBuffered(t *testing.T) {
	whole := relay.AppendPacket(nil, &ann, largest)
	for n := range whole {
		in := bufio.NewReaderSize(bytes.NewReader(slices.Concat(relay.AppendOpen(nil, ann), whole[:n])), 4096)
		if relay.Buffered(in) {
			t.Fatal("something is buffered before anything was read")
		}
		if err := relay.Read(in, new(relay.Frame)); err != nil {
			t.Fatal(err)
		}
		if relay.Buffered(in) {
			t.Fatalf("%d of %d bytes are taken for a frame", n, len(whole))
		}
	}
	in := bufio.NewReader(bytes.NewReader(slices.Concat(whole, whole, []byte{0xFF, 0xFF})))
	for want := range 2 {
		if err := relay.Read(in, new(relay.Frame)); err != nil || !relay.Buffered(in) {
			t.Fatalf("after frame %d: %v, buffered %v", want, err, relay.Buffered(in))
		}
	}
}

func TestNoAllocations(t *testing.T) {
	buf, packet := make([]byte, 0, relay.MaxFrame), largest
	if n := testing.AllocsPerRun(100, func() {
		relay.AppendPacket(buf, &ann, packet)
		relay.AppendOpen(buf, ann)
		relay.AppendClose(buf, ann)
		relay.AppendState(buf, ann, relay.Ready)
		relay.AppendPing(buf, [8]byte{})
		relay.AppendPong(buf, [8]byte{})
	}); n != 0 {
		t.Errorf("appending allocates %v times", n)
	}
	source := bytes.NewReader(nil)
	in := bufio.NewReader(source)
	frame := relay.AppendPacket(nil, &ann, packet)
	var f relay.Frame
	if n := testing.AllocsPerRun(100, func() {
		source.Reset(frame)
		in.Reset(source)
		if err := relay.Read(in, &f); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("reading allocates %v times", n)
	}
}

// FuzzRead reads anything as frames; what is a frame is written as it was.
func FuzzRead(f *testing.F) {
	if len(vectors) == 0 {
		f.Fatal("there are no seeds")
	}
	for _, v := range vectors {
		if len(v.encoded) == 0 {
			f.Fatalf("the seed %s is empty", v.name)
		}
		f.Add(v.encoded)
		f.Add(v.encoded[:len(v.encoded)/2])
		f.Add(append([]byte{0, 2, 9, 9}, v.encoded...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bufio.NewReaderSize(bytes.NewReader(b), relay.MaxFrame)
		for rest := b; ; {
			var fr relay.Frame
			err := relay.Read(in, &fr)
			if errors.Is(err, io.EOF) && len(rest) == 0 || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, relay.ErrFrame) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			size := 2 + int(rest[0])<<8 + int(rest[1])
			var again []byte
			switch fr.Type {
			case relay.Packet:
				again = relay.AppendPacket(nil, &fr.Device, fr.Packet)
			case relay.Open:
				again = relay.AppendOpen(nil, fr.Device)
			case relay.Close:
				again = relay.AppendClose(nil, fr.Device)
			case relay.State:
				again = relay.AppendState(nil, fr.Device, fr.Status)
			case relay.Ping:
				again = relay.AppendPing(nil, fr.Data)
			case relay.Pong:
				again = relay.AppendPong(nil, fr.Data)
			default:
				again = rest[:size]
			}
			if !bytes.Equal(again, rest[:size]) {
				t.Fatalf("%x is written as %x", rest[:size], again)
			}
			rest = rest[size:]
		}
	})
}
