package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"earshot/protocol/wire"
)

// direction is one of the three kinds of frame, with its reader's limit.
type direction struct {
	samples []sample
	limit   int
	empty   proto.Message
}

func (d direction) fresh() proto.Message { return d.empty.ProtoReflect().New().Interface() }

var directions = map[string]direction{
	"to coordinator": {toCoordinator, wire.MaxToCoordinator, &wire.ToCoordinator{}},
	"to client":      {toClient, wire.MaxToClient, &wire.ToClient{}},
	"to peer":        {toPeer, wire.MaxToPeer, &wire.ToPeer{}},
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFrames(t *testing.T) {
	for name, d := range directions {
		var all []byte
		for _, s := range d.samples {
			want := unhex(t, s.frame)
			if got := wire.Append([]byte("before"), s.message); string(got) != "before"+string(want) {
				t.Errorf("%s, %s is\n%x, expected\n%x", name, s.name, got[len("before"):], want)
			}
			all = append(all, want...)
		}
		// One after the other from one reader, which gives a byte at a time.
		r := iotest.OneByteReader(bytes.NewReader(all))
		m := d.fresh()
		for _, s := range d.samples {
			if err := wire.Read(r, d.limit, m); err != nil || !proto.Equal(m, s.message) {
				t.Errorf("%s, %s reads as %v, %v", name, s.name, m, err)
			}
		}
		if err := wire.Read(r, d.limit, m); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the end is %v", name, err)
		}
	}
}

// TestEveryFieldHasASample: each message and each field of the schema is in one.
func TestEveryFieldHasASample(t *testing.T) {
	seen := map[protoreflect.FullName]bool{}
	var visit func(m protoreflect.Message)
	visit = func(m protoreflect.Message) {
		seen[m.Descriptor().FullName()] = true
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			seen[f.FullName()] = true
			switch {
			case f.Message() == nil:
			case f.IsList():
				for i := range v.List().Len() {
					visit(v.List().Get(i).Message())
				}
			default:
				visit(v.Message())
			}
			return true
		})
	}
	for _, d := range directions {
		for _, s := range d.samples {
			visit(s.message.ProtoReflect())
		}
	}
	messages := wire.File_earshot_proto.Messages()
	for i := range messages.Len() {
		m := messages.Get(i)
		if !seen[m.FullName()] {
			t.Errorf("no sample of %s", m.FullName())
		}
		for j := range m.Fields().Len() {
			if f := m.Fields().Get(j).FullName(); !seen[f] {
				t.Errorf("no sample with %s", f)
			}
		}
	}
}

func TestFramesThatAreCut(t *testing.T) {
	for name, d := range directions {
		frame := unhex(t, d.samples[0].frame)
		for n := range frame {
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			if err := wire.Read(bytes.NewReader(frame[:n]), d.limit, d.fresh()); !errors.Is(err, want) {
				t.Fatalf("%s: the first %d bytes of %d give %v", name, n, len(frame), err)
			}
		}
	}
	broken := errors.New("broken")
	r := io.MultiReader(bytes.NewReader([]byte{0, 0, 0, 9, 1}), iotest.ErrReader(broken))
	if err := wire.Read(r, 100, &wire.ToPeer{}); !errors.Is(err, broken) {
		t.Errorf("a broken connection gives %v", err)
	}
}

func TestFramesAtTheLimit(t *testing.T) {
	for name, d := range directions {
		for _, test := range []struct {
			size int
			want error
		}{{d.limit, nil}, {d.limit + 1, wire.ErrFrameSize}, {1<<32 - 1, wire.ErrFrameSize}} {
			header := []byte{byte(test.size >> 24), byte(test.size >> 16), byte(test.size >> 8), byte(test.size)}
			// A field of a later version fills the message. Behind an oversized
			// header there is nothing, so that it shows whether any of it is read.
			body := []byte{}
			if test.want == nil {
				body = protowire.AppendTag(body, 1000, protowire.BytesType)
				rest := test.size - len(body)
				body = protowire.AppendBytes(body, make([]byte, rest-protowire.SizeVarint(uint64(rest-2))))
			}
			m := d.fresh()
			err := wire.Read(bytes.NewReader(append(header, body...)), d.limit, m)
			if !errors.Is(err, test.want) || err != nil && !errors.Is(err, wire.ErrFrame) {
				t.Errorf("%s: %d bytes of %d that are allowed: %v", name, test.size, d.limit, err)
			}
			if n := proto.Size(m); n != 0 {
				t.Errorf("%s: %d bytes are left of it", name, n)
			}
		}
	}
}

func TestWhatIsNoMessage(t *testing.T) {
	for name, body := range map[string]string{
		"a cut field":              "0a05aa",
		"field number 0":           "0000",
		"wire type 7":              "0f",
		"a cut varint":             "0880",
		"a long varint":            "08ffffffffffffffffffffff01",
		"the end of no group":      "0c",
		"a name that is no UTF-8":  "0a032201ff",
		"a hello of another kind":  "0d00000000ff",
		"a cut field in a message": "0a0222ff",
	} {
		b := unhex(t, body)
		frame := append([]byte{0, 0, 0, byte(len(b))}, b...)
		if err := wire.Read(bytes.NewReader(frame), 100, &wire.ToCoordinator{}); !errors.Is(err, wire.ErrFrameContent) || !errors.Is(err, wire.ErrFrame) {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

// TestLaterVersions: fields and bodies that this version doesn't know are
// skipped, and not kept, wherever they are.
func TestLaterVersions(t *testing.T) {
	later := func(b []byte) []byte {
		b = protowire.AppendTag(b, 1000, protowire.VarintType)
		b = protowire.AppendVarint(b, 1)
		b = protowire.AppendTag(b, 1001, protowire.BytesType)
		b = protowire.AppendBytes(b, []byte("later"))
		b = protowire.AppendTag(b, 1002, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, 1)
		b = protowire.AppendTag(b, 1003, protowire.StartGroupType)
		return protowire.AppendTag(b, 1003, protowire.EndGroupType)
	}
	status := later([]byte{0x08, 0x03})
	set := later(append([]byte{0x0a, byte(len(status))}, status...))
	body := later(append([]byte{0x12, byte(len(set))}, set...))
	var m wire.ToCoordinator
	if err := wire.Read(bytes.NewReader(append([]byte{0, 0, 0, byte(len(body))}, body...)), 1000, &m); err != nil {
		t.Fatal(err)
	}
	want := &wire.ToCoordinator{Body: &wire.ToCoordinator_SetStatus{SetStatus: &wire.SetStatus{Status: &wire.Status{Presence: wire.Presence_PRESENCE_BUSY}}}}
	if !proto.Equal(&m, want) {
		t.Errorf("it reads as %v", &m)
	}
	if got := wire.Append(nil, &m); string(got) != "\x00\x00\x00\x06\x12\x04\x0a\x02\x08\x03" {
		t.Errorf("and goes on as %x", got)
	}
	// A body that is new, and none at all, in a reader that had another one.
	for _, frame := range []string{"000000050a00ba3e00", "0000000000", "00000003ba3e00"} {
		var m wire.ToClient
		m.Body = &wire.ToClient_Ping{Ping: &wire.Ping{}}
		if err := wire.Read(bytes.NewReader(unhex(t, frame)), 1000, &m); err != nil || m.GetPing() != nil {
			t.Errorf("%s reads as %v, %v", frame, &m, err)
		}
	}
	// An enum value of a later version stays what it is.
	var refused wire.ToClient
	if err := wire.Read(bytes.NewReader(unhex(t, "00000005120308e707")), 1000, &refused); err != nil || refused.GetRefused().GetCode() != 999 {
		t.Errorf("a refusal of a later version reads as %v, %v", &refused, err)
	}
}

// TestWrongTextsAreMended: at every depth, and without a change to the original.
func TestWrongTextsAreMended(t *testing.T) {
	u := user()
	u.Name, u.Devices[0].Label = "A\xffnn", "\xc3"
	m := &wire.ToClient{Body: &wire.ToClient_Snapshot{Snapshot: &wire.Snapshot{Users: []*wire.User{{Name: "Bo"}, u}}}}
	var got wire.ToClient
	if err := wire.Read(bytes.NewReader(wire.Append(nil, m)), wire.MaxToClient, &got); err != nil {
		t.Fatal(err)
	}
	want := proto.Clone(m).(*wire.ToClient)
	want.GetSnapshot().GetUsers()[1].Name, want.GetSnapshot().GetUsers()[1].GetDevices()[0].Label = "A\uFFFDnn", "\uFFFD"
	if !proto.Equal(&got, want) {
		t.Errorf("it goes as %v", &got)
	}
	if u.GetName() != "A\xffnn" {
		t.Errorf("the original is %q now", u.GetName())
	}
	w := wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Hello{Hello: &wire.PeerHello{Capabilities: []string{"a", "\xff"}}}})
	if !strings.Contains(string(w), "\uFFFD") || strings.Contains(string(w), "\xff") {
		t.Errorf("a list of texts goes as %q", w)
	}
}

func TestAddresses(t *testing.T) {
	for _, test := range []struct{ text, bytes string }{
		{"10.0.0.7:13277", "0a00000733dd"},
		{"255.255.255.255:65535", "ffffffffffff"},
		{"[2001:db8::7]:13277", "20010db800000000000000000000000733dd"},
	} {
		a := netip.MustParseAddrPort(test.text)
		if got := hex.EncodeToString(wire.Address(a)); got != test.bytes {
			t.Errorf("%s is %s, expected %s", test.text, got, test.bytes)
		}
		if got, err := wire.ParseAddress(unhex(t, test.bytes)); err != nil || got != a {
			t.Errorf("%s reads as %v, %v", test.bytes, got, err)
		}
	}
	for text, bytes := range map[string]string{
		"[::ffff:10.0.0.7]:9": "0a0000070009",
		"[fe80::1%eth0]:9":    "fe8000000000000000000000000000010009",
	} {
		if got := hex.EncodeToString(wire.Address(netip.MustParseAddrPort(text))); got != bytes {
			t.Errorf("%s is %s, expected %s", text, got, bytes)
		}
	}
	if got, err := wire.ParseAddress(unhex(t, "00000000000000000000ffff0a0000070009")); err != nil || got != netip.MustParseAddrPort("10.0.0.7:9") {
		t.Errorf("a mapped address reads as %v, %v", got, err)
	}
	if got := wire.Address(netip.AddrPort{}); got != nil {
		t.Errorf("no address is %x", got)
	}
	for _, n := range []int{0, 1, 2, 4, 5, 7, 16, 17, 19} {
		if got, err := wire.ParseAddress(make([]byte, n)); !errors.Is(err, wire.ErrAddress) || got.IsValid() {
			t.Errorf("%d bytes read as %v, %v", n, got, err)
		}
	}
}
