package load

import (
	"errors"
	"strings"
	"testing"
)

var (
	ann  = entry{id: 1, whole: 11, face: 111}
	bo   = entry{id: 2, whole: 22, face: 222}
	busy = entry{id: 2, whole: 23, face: 223} // bo with another status
)

// whole is a snapshot's frames, one for each user.
func whole(users ...entry) []*frame {
	frames := []*frame{{}}
	for _, u := range users {
		f := &frame{users: []entry{u}}
		f.digest.add(u)
		frames = append(frames, f)
	}
	return frames
}

func gone(id uint64) entry { return entry{id: id} }

// told is a ledger that has a snapshot of ann at 5, and changes from 6 on.
func told(t *testing.T, changes ...entry) *ledger {
	t.Helper()
	l := new(ledger)
	l.snapshot(5, whole(ann))
	for i, e := range changes {
		if err := l.write(uint64(6+i), change{uint64(100 + i), e}); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func TestLedger(t *testing.T) {
	for _, c := range []struct {
		name    string
		do      func(*ledger)
		heard   uint64
		digest  digest
		mistake string
	}{
		{"changes replayed", func(*ledger) {}, 8, digest{11, 111, 1}, ""},
		{"a later snapshot that is right", func(l *ledger) { l.snapshot(7, whole(busy, ann)) }, 8, digest{11, 111, 1}, ""},
		{"one with a status of before", func(l *ledger) { l.snapshot(7, whole(bo, ann)) }, 8, digest{}, "a snapshot at 7"},
		{"one without somebody", func(l *ledger) { l.snapshot(6, whole(ann)) }, 8, digest{}, "a snapshot at 6"},
		{"an earlier one", func(l *ledger) { l.snapshot(4, whole()) }, 8, digest{11, 111, 1}, ""},
		{"a change that nobody was told", func(l *ledger) { _ = l.write(10, change{103, bo}) }, 8, digest{}, "nobody was told change 9"},
		{"what happened while nobody was there", func(l *ledger) {
			l.snapshot(20, whole(ann, bo))
			_ = l.write(21, change{104, gone(1)})
		}, 21, digest{22, 222, 1}, ""},
		{"the same, told by several", func(l *ledger) {
			l.snapshot(21, whole(bo))
			l.snapshot(20, whole(ann, bo))
			_ = l.write(21, change{104, gone(1)})
		}, 21, digest{22, 222, 1}, ""},
		{"a mistake after that", func(l *ledger) {
			l.snapshot(20, whole(ann, bo))
			_ = l.write(21, change{104, gone(1)})
			l.snapshot(21, whole(ann))
		}, 21, digest{}, "a snapshot at 21"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := told(t, bo, busy, gone(2))
			c.do(l)
			heard, digest, err := l.now()
			if c.mistake != "" {
				if !errors.Is(err, ErrStale) || !strings.Contains(err.Error(), c.mistake) {
					t.Errorf("the error is %v, want one about %q", err, c.mistake)
				}
				return
			}
			if err != nil || heard != c.heard || digest != c.digest {
				t.Errorf("at %d there are %v, %v; want %d and %v", heard, digest, err, c.heard, c.digest)
			}
		})
	}
}

// Two who are told different things can't both be right.
func TestLedgerCompares(t *testing.T) {
	l := told(t, bo)
	if known, err := l.known(6, 100); !known || err != nil {
		t.Errorf("the same change again: %v, %v", known, err)
	}
	if _, err := l.known(6, 101); !errors.Is(err, ErrStale) {
		t.Errorf("another change with the same number: %v", err)
	}
	if known, err := l.known(7, 100); known || err != nil {
		t.Errorf("a change nobody knows: %v, %v", known, err)
	}
	if err := l.write(maxLedger, change{}); !errors.Is(err, ErrLoad) {
		t.Errorf("a change beyond all measure: %v", err)
	}
}

func TestBits(t *testing.T) {
	var a, b bits
	for _, client := range []int{3, 64, 1000, 3} {
		a.set(client, true)
	}
	a.set(1000, false)
	a.set(1000, false)
	b.set(64, true)
	if a.equal(b) || a.count != 2 {
		t.Errorf("%v is not %v", a, b)
	}
	b.set(3, true)
	if !a.equal(b) || !b.equal(a) {
		t.Errorf("%v is %v", a, b)
	}
	b.set(3, false)
	b.set(4, true)
	if a.equal(b) {
		t.Errorf("%v is not %v", a, b)
	}
}

func TestNames(t *testing.T) {
	for _, client := range []int{0, 7, 19999} {
		if got, ok := clientOf([]byte(name(client))); !ok || got != client {
			t.Errorf("%s is %d, %v", name(client), got, ok)
		}
	}
	for _, other := range []string{"", "u", "Ann", "u1x", "u1234567890", "#all"} {
		if got, ok := clientOf([]byte(other)); ok {
			t.Errorf("%q is client %d", other, got)
		}
	}
}
