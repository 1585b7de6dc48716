package roster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
)

var somewhere = netip.MustParseAddrPort("10.0.0.1:5000")

func join(t *testing.T, r *Roster, name string) (User, Position) {
	t.Helper()
	u, at, err := r.Join(name, somewhere)
	if err != nil {
		t.Fatal(err)
	}
	return u, at
}

func TestNamesAreUnique(t *testing.T) {
	r := New()
	bob, _ := join(t, r, "Bob")
	for _, name := range []string{"Bob", "bob", "BOB", "Ｂｏｂ"} {
		if _, _, err := r.Join(name, somewhere); !errors.Is(err, ErrNameTaken) {
			t.Errorf("%s came in beside Bob: %v", name, err)
		}
		if u, ok := r.Lookup(name); !ok || u != bob {
			t.Errorf("Lookup(%s) = %v, %v", name, u, ok)
		}
	}
	if !r.Leave(bob.ID) || r.Leave(bob.ID) {
		t.Error("Bob leaves once")
	}
	if again, _ := join(t, r, "bob"); again.ID == bob.ID {
		t.Error("a new stay has the old one's ID")
	}
}

func TestSince(t *testing.T) {
	r := New()
	_, start := r.Snapshot()
	ann, first := join(t, r, "Ann")
	bo, _ := join(t, r, "Bo")
	r.Leave(ann.ID)
	changes, at, err := r.Since(nil, start)
	want := []Change{{Seq: 1, Kind: Joined, User: ann}, {Seq: 2, Kind: Joined, User: bo}, {Seq: 3, Kind: Left, User: ann}}
	if err != nil || !slices.Equal(changes, want) {
		t.Errorf("from the start: %v, %v", changes, err)
	}
	if changes, _, err := r.Since(nil, first); err != nil || !slices.Equal(changes, want[1:]) {
		t.Errorf("from the first change: %v, %v", changes, err)
	}
	if changes, _, err := r.Since(nil, at); err != nil || len(changes) != 0 {
		t.Errorf("from the end: %v, %v", changes, err)
	}
	for name, wrong := range map[string]Position{
		"another epoch": {at.Epoch + 1, at.Seq}, "the future": {at.Epoch, at.Seq + 1},
	} {
		if _, _, err := r.Since(nil, wrong); !errors.Is(err, ErrBehind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The log is bounded, and says so to who comes too late.
func TestTrimming(t *testing.T) {
	r := New()
	_, start := r.Snapshot()
	for range MaxLog + 1 {
		u, _ := join(t, r, "Ann")
		r.Leave(u.ID)
	}
	if _, _, err := r.Since(nil, start); !errors.Is(err, ErrBehind) {
		t.Errorf("the whole log is still there: %v", err)
	}
	_, end := r.Snapshot()
	changes, _, err := r.Since(nil, Position{end.Epoch, end.Seq - MaxLog})
	if err != nil || len(changes) != MaxLog || changes[0].Seq != end.Seq-MaxLog+1 {
		t.Errorf("%d changes, %v", len(changes), err)
	}
	if len(r.log.lines) > 2*MaxLog {
		t.Errorf("%d changes are kept", len(r.log.lines))
	}
}

func TestChanged(t *testing.T) {
	r := New()
	_, at := r.Snapshot()
	wake := r.Changed(at)
	select {
	case <-wake:
		t.Fatal("woken by nothing")
	default:
	}
	join(t, r, "Ann")
	join(t, r, "Bo")
	<-wake
	<-r.Changed(at) // what has happened already wakes at once
}

// Readers that follow the log from wherever they came in have the same list as
// the roster, while several goroutines change it.
func TestFollowers(t *testing.T) {
	r := New()
	done := make(chan struct{})
	var writers, readers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			var mine []User
			for i := range 2000 {
				if len(mine) > 0 && random.IntN(2) == 0 {
					k := random.IntN(len(mine))
					r.Leave(mine[k].ID)
					mine = slices.Delete(mine, k, k+1)
					continue
				}
				u, _, err := r.Join(fmt.Sprintf("%d-%d", w, i), somewhere)
				if err != nil {
					t.Error(err)
					return
				}
				mine = append(mine, u)
			}
		})
	}
	for range 3 {
		readers.Go(func() {
			users, at := r.Snapshot()
			view := make(map[uint64]User)
			for _, u := range users {
				view[u.ID] = u
			}
			for last := false; ; {
				changes, next, err := r.Since(nil, at)
				if err != nil {
					t.Error(err)
					return
				}
				for i, c := range changes {
					if c.Seq != at.Seq+uint64(i)+1 {
						t.Errorf("change %d follows %d", c.Seq, at.Seq+uint64(i))
					}
					if _, known := view[c.User.ID]; known != (c.Kind == Left) {
						t.Errorf("%v, of somebody who was on the list: %v", c, known)
					}
					if c.Kind == Joined {
						view[c.User.ID] = c.User
					} else {
						delete(view, c.User.ID)
					}
				}
				at = next
				if last {
					break
				}
				select {
				case <-r.Changed(at):
				case <-done:
					last = true
				}
			}
			users, _ = r.Snapshot()
			if len(users) != len(view) {
				t.Errorf("the reader has %d users, the roster %d", len(view), len(users))
			}
			for _, u := range users {
				if view[u.ID] != u {
					t.Errorf("the reader lacks %v", u)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}
