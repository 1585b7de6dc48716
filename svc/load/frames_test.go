package load

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"earshot/protocol/wire"
)

func user(id uint64, name, text string) *wire.User {
	return &wire.User{
		Id: id, Name: name, Status: &wire.Status{Presence: wire.Presence_PRESENCE_AWAY, Text: text, Department: "lab"},
		Devices: []*wire.Device{{Key: make([]byte, 32), Label: "laptop", Online: true}},
	}
}

// bytesOf is a message as it stands in a frame, without its length.
func bytesOf(m *wire.ToClient) []byte { return wire.Append(nil, m)[4:] }

var (
	snapshotFrame = bytesOf(&wire.ToClient{Body: &wire.ToClient_Snapshot{Snapshot: &wire.Snapshot{
		Epoch: 1 << 60, Sequence: 300, Users: []*wire.User{user(7, "Ann", "at lunch"), user(8, "波", "")}, More: true,
	}}})
	putFrame  = bytesOf(&wire.ToClient{Body: &wire.ToClient_Delta{Delta: &wire.Delta{Sequence: 301, Change: &wire.Delta_Put{Put: user(7, "Ann", "back")}}}})
	goneFrame = bytesOf(&wire.ToClient{Body: &wire.ToClient_Delta{Delta: &wire.Delta{Sequence: 302, Change: &wire.Delta_Gone{Gone: 8}}}})
)

// What is read by hand is what the encoder wrote.
func TestFrames(t *testing.T) {
	kind, body, err := parseFrame(snapshotFrame)
	if kind != frameSnapshot || err != nil {
		t.Fatal(kind, err)
	}
	f, err := parseSnapshot(body)
	if err != nil || f.sequence != 300 || !f.more || len(f.users) != 2 || f.digest.count != 2 {
		t.Fatal(f, err)
	}
	withHeader := append([]byte{0, 0, 0, byte(len(snapshotFrame))}, snapshotFrame...)
	kind, body, err = parseFrame(wire.AppendCompressed(nil, withHeader)[4:])
	if kind != frameCompressed || err != nil {
		t.Fatal(kind, err)
	}
	if same, err := parseCompressed(body); err != nil || !reflect.DeepEqual(same, f) {
		t.Errorf("compressed it is %v, %v, not %v", same, err, f)
	}
	for i, want := range []entry{{id: 7, face: face([]byte("Ann"), []byte("at lunch"))}, {id: 8, face: face([]byte("波"), nil)}} {
		if got := f.users[i]; got.id != want.id || got.face != want.face || got.whole == 0 {
			t.Errorf("the user is %v, want %v", got, want)
		}
	}
	for _, c := range []struct {
		frame []byte
		want  uint64
		id    uint64
		there bool
	}{{putFrame, 301, 7, true}, {goneFrame, 302, 8, false}} {
		kind, body, err := parseFrame(c.frame)
		if kind != frameDelta || err != nil {
			t.Fatal(kind, err)
		}
		sequence, rest, err := parseSequence(body)
		if err != nil {
			t.Fatal(err)
		}
		e, err := parseChange(rest)
		if sequence != c.want || e.id != c.id || e.whole != 0 != c.there || err != nil {
			t.Errorf("change %d of %v, %v", sequence, e, err)
		}
	}
	for _, f := range [][]byte{snapshotFrame, putFrame} {
		if _, _, err := parseFrame(f[:len(f)-1]); !errors.Is(err, ErrLoad) {
			t.Errorf("a cut frame: %v", err)
		}
	}
}

// FuzzFrames has everything that is read by hand read garbage, and what the
// generated code takes for a whole snapshot must be read as one.
func FuzzFrames(f *testing.F) {
	for _, seed := range [][]byte{snapshotFrame, putFrame, goneFrame} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, body, err := parseFrame(b)
		if err != nil {
			return
		}
		_, rest, err := parseSequence(body)
		if err == nil {
			_, _ = parseChange(rest)
		}
		_, _ = parseCompressed(body)
		parsed, err := parseSnapshot(body)
		s := new(wire.Snapshot)
		if kind != frameSnapshot || proto.Unmarshal(body, s) != nil || err != nil {
			return
		}
		var ids, want []uint64
		for _, u := range parsed.users {
			ids = append(ids, u.id)
		}
		for _, u := range s.Users {
			want = append(want, u.Id)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("by hand %v, by the generated code %v", ids, want)
		}
	})
}
