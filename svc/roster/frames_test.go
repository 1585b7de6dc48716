package roster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// secure is a user with a device and all that may be said of one.
func secure(name, status string) User {
	return User{Name: name, Endpoint: somewhere, Encoding: classic.GB18030, Secure: &Secure{
		Status: Status{Presence: wire.Presence_PRESENCE_BUSY, Text: status, DisplayName: "Ann", Department: "财务"},
		Devices: []Device{{
			Key: identity.PublicKey{1, 2, 3}, Label: "laptop", Online: true,
			Candidates:   []Candidate{{wire.Candidate_KIND_HOST, netip.MustParseAddrPort("[2001:db8::1]:77")}},
			Endorsements: []Endorsement{{identity.PublicKey{4}, []byte("signature")}},
		}},
	}}
}

// decode reads frames until they end.
func decode(t testing.TB, b []byte) []*wire.ToClient {
	t.Helper()
	var all []*wire.ToClient
	for r := bytes.NewReader(b); ; {
		m := new(wire.ToClient)
		err := wire.Read(r, wire.MaxToClient, m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
}

// What is put together by hand is what the generated code would write.
func TestDeltaFrames(t *testing.T) {
	r := New()
	_, start := r.Snapshot()
	ann, _, err := r.Add(secure("Ann", "here"))
	if err != nil {
		t.Fatal(err)
	}
	changed := secure("Ann", "there")
	changed.ID = ann.ID
	if !r.Update(ann.ID, func(u *User) { u.Secure, u.Name, u.ID = changed.Secure, "Eve", 99 }) {
		t.Fatal("Ann is not there")
	}
	r.Update(ann.ID, func(u *User) { u.Secure = secure("", "there").Secure }) // as it is
	bo, _ := join(t, r, "Bo")
	r.Leave(ann.ID)
	var want []byte
	for i, d := range []*wire.Delta{
		{Change: &wire.Delta_Put{Put: ann.Wire()}}, {Change: &wire.Delta_Put{Put: changed.Wire()}},
		{Change: &wire.Delta_Put{Put: bo.Wire()}}, {Change: &wire.Delta_Gone{Gone: ann.ID}},
	} {
		d.Sequence = uint64(i + 1)
		want = wire.Append(want, &wire.ToClient{Body: &wire.ToClient_Delta{Delta: d}})
	}
	frames, next, err := r.Frames(start)
	if _, end := r.Snapshot(); err != nil || next != end || !bytes.Equal(frames, want) {
		t.Errorf("the frames up to %v are %x, not %x (%v)", next, frames, want, err)
	}
	if frames, same, err := r.Frames(next); err != nil || len(frames) != 0 || same != next {
		t.Errorf("at the end: %x, %v, %v", frames, same, err)
	}
	if changes, _, err := r.Since(nil, start); err != nil || changes[1].Kind != Changed || changes[1].Was != somewhere || changes[1].User != (User{
		ann.ID, "Ann", somewhere, classic.GB18030, changed.Secure,
	}) {
		t.Errorf("the change reads %+v (%v)", changes[1], err)
	}
	if _, _, err := r.Frames(Position{Epoch: next.Epoch + 1}); !errors.Is(err, ErrBehind) {
		t.Errorf("another epoch: %v", err)
	}
}

// The whole, in however many frames, is everybody.
func TestWhole(t *testing.T) {
	for _, n := range []int{0, 1, 499, 500, 501, 1700} {
		r := New()
		for i := range n {
			if _, _, err := r.Add(secure(fmt.Sprint(i), strings.Repeat("x", i%280))); err != nil {
				t.Fatal(err)
			}
		}
		w, at := r.Whole()
		join(t, r, "too late")
		seen := make(map[uint64]*wire.User)
		for frames, more := 0, true; more; frames++ {
			b, ok := w.Next(nil)
			if !ok {
				t.Fatalf("%d users end after %d frames that say there are more", n, frames)
			}
			s := decode(t, b)[0].GetSnapshot()
			if s.Epoch != at.Epoch || s.Sequence != at.Seq || len(s.Users) > 500 || len(b) > wire.MaxToClient {
				t.Errorf("a frame of %d bytes with %d users at %d, %d", len(b), len(s.Users), s.Epoch, s.Sequence)
			}
			for _, u := range s.Users {
				seen[u.Id] = u
			}
			more = s.More
		}
		if b, ok := w.Next(nil); ok || len(b) != 0 {
			t.Errorf("after the last frame comes %x", b)
		}
		users, _ := r.Snapshot()
		if len(seen) != n {
			t.Errorf("%d users of %d", len(seen), n)
		}
		for _, u := range users[:n] {
			if !proto.Equal(seen[u.ID], u.Wire()) {
				t.Errorf("%v reads %v", u, seen[u.ID])
			}
		}
	}
}

// Whoever else asks for the same position gets the same frames, put together
// once; after a change they are others.
func TestWholeShared(t *testing.T) {
	r := New()
	for i := range 1200 {
		join(t, r, fmt.Sprint("user ", i))
	}
	first, at := r.Whole()
	var want []byte
	for ok := true; ok; {
		want, ok = first.Next(want)
	}
	second, same := r.Whole()
	if !bytes.Equal(second.Shared(false), want) || same != at || first.Shared(false) != nil {
		t.Errorf("who asks second gets %d bytes at %v, want %d at %v", len(second.Shared(false)), same, len(want), at)
	}
	if b, ok := second.Next(nil); ok {
		t.Errorf("behind them comes %x", b)
	}
	if allocs := testing.AllocsPerRun(100, func() { r.Whole() }); allocs > 1 {
		t.Errorf("who asks after that costs %v allocations", allocs)
	}
	compressed := second.Shared(true)
	plain := decode(t, want)
	for i, m := range decode(t, compressed) {
		if err := wire.Decompress(m); err != nil || !proto.Equal(m, plain[i]) {
			t.Fatalf("frame %d has been compressed to %v, %v", i, m, err)
		}
	}
	if len(compressed) > len(want)/2 {
		t.Errorf("%d bytes are %d compressed", len(want), len(compressed))
	}
	join(t, r, "Ann")
	if third, next := r.Whole(); third.Shared(false) != nil || next == at {
		t.Error("after a change the frames are still the old ones")
	}
	if !bytes.Equal(second.Shared(false), want) {
		t.Error("the old frames have changed")
	}
}

// Frames that are followed in chunks give the same as the list, while the log
// is trimmed by number and by size.
func TestFramesFollowed(t *testing.T) {
	r := New()
	random := rand.New(rand.NewPCG(3, 4))
	_, at := r.Snapshot()
	view := make(map[uint64]string)
	var ids []uint64
	large := strings.Repeat("y", 4000)
	for i := range 6 * MaxLog {
		switch k := random.IntN(3); {
		case len(ids) < 5 || k == 0 && len(ids) < 50:
			u, _, err := r.Add(secure(fmt.Sprint(i), fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, u.ID)
		case k == 1:
			r.Leave(ids[0])
			ids = ids[1:]
		default:
			r.Update(ids[0], func(u *User) { u.Secure = secure("", large[:random.IntN(len(large))]).Secure })
		}
		if i%100 > 0 {
			continue
		}
		for {
			frames, next, err := r.Frames(at)
			if err != nil {
				t.Fatal(err)
			}
			if next == at {
				break
			}
			for _, m := range decode(t, frames) {
				d := m.GetDelta()
				if at.Seq++; d.Sequence != at.Seq {
					t.Fatalf("%d stands in the place of %d", d.Sequence, at.Seq)
				}
				if d.GetPut() == nil {
					delete(view, d.GetGone())
				} else {
					view[d.GetPut().Id] = d.GetPut().Status.Text
				}
			}
			if at != next {
				t.Fatalf("frames end at %v, not %v", at, next)
			}
		}
		users, _ := r.Snapshot()
		if len(users) != len(view) {
			t.Fatalf("%d users, %d seen", len(users), len(view))
		}
		for _, u := range users {
			if view[u.ID] != u.Secure.Status.Text {
				t.Fatalf("%d is %q, not %q", u.ID, view[u.ID], u.Secure.Status.Text)
			}
		}
		if r.log.bytes > 2*MaxLogBytes+8000 || len(r.log.lines) > 2*MaxLog {
			t.Fatalf("the log has %d bytes in %d lines", r.log.bytes, len(r.log.lines))
		}
	}
	if r.Resumable(Position{at.Epoch, at.Seq - uint64(len(ids)) - 600}) || !r.Resumable(Position{at.Epoch, at.Seq - 100}) {
		t.Error("a short way is to be resumed, and a long one not")
	}
}

// BenchmarkWhole is what one newcomer's roster of a thousand costs.
func BenchmarkWhole(b *testing.B) {
	r, random := New(), rand.NewChaCha8([32]byte{})
	for i := range 1000 {
		u := secure(fmt.Sprint("user ", i), "at work")
		_, _ = random.Read(u.Secure.Devices[0].Key[:]) // nothing is saved there
		if _, _, err := r.Add(u); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("the first to ask", func(b *testing.B) {
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			r.whole = whole{}
			w, _ := r.Whole()
			for ok := true; ok; {
				buf, ok = w.Next(buf[:0])
			}
		}
	})
	b.Run("compressed", func(b *testing.B) {
		r.Whole()
		w, _ := r.Whole()
		plain := w.Shared(false)
		b.ReportAllocs()
		var packed []byte
		for b.Loop() {
			packed = wire.AppendCompressed(packed[:0], plain)
		}
		b.ReportMetric(float64(len(packed))/float64(len(plain)), "size")
	})
	b.Run("decompressed", func(b *testing.B) {
		r.Whole()
		w, _ := r.Whole()
		frames := decode(b, w.Shared(true))
		b.ReportAllocs()
		for b.Loop() {
			for _, f := range frames {
				if _, err := wire.DecompressBytes(f.GetDeflate()); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("the others", func(b *testing.B) {
		r.Whole()
		b.ReportAllocs()
		for b.Loop() {
			if w, _ := r.Whole(); w.Shared(true) == nil {
				b.Fatal("they are not shared")
			}
		}
	})
}
