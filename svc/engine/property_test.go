package engine

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
)

// world does random things to an engine and remembers what it was told.
type world struct {
	t       *testing.T
	random  *rand.Rand
	names   []string
	devices []Device
	tokens  []string
	backup  []byte
	told    map[string]Account // by name key, from OnChange alone
}

func (w *world) hear(before, after Account) {
	key := classic.NameKey(cmp.Or(after.Name, before.Name))
	if !w.told[key].same(before) {
		w.t.Errorf("%s was said to be %+v, and now to have been %+v", key, w.told[key], before)
	}
	if after.Name == "" {
		delete(w.told, key)
	} else {
		w.told[key] = after
	}
}

func pick[T any](w *world, from []T) T { return from[w.random.IntN(len(from))] }

// step does one thing. What is refused must be for a reason of the family.
func (w *world) step(e *Engine) {
	ctx, name, d := w.t.Context(), pick(w, w.names), pick(w, w.devices)
	var err error
	switch w.random.IntN(16) {
	case 0, 1, 2, 3, 4, 5:
		var a Account
		policy := pick(w, []Policy{PolicyOpen, PolicyInvite, PolicyApprove})
		if a, err = e.Claim(ctx, name, d, policy, pick(w, w.tokens)); err == nil {
			if _, has := a.Device(d.Key); !has || a.Pending || classic.NameKey(a.Name) != classic.NameKey(name) {
				w.t.Errorf("a claim of %s gives %+v", name, a)
			}
		}
	case 6, 7:
		var by []Endorsement
		if a, ok := e.Lookup(name); ok && len(a.Devices) > 0 {
			by = []Endorsement{{By: pick(w, a.Devices).Key, Signature: []byte{1}}}
		}
		d.Endorsements = by
		_, err = e.AddDevice(ctx, name, d)
	case 8, 9:
		err = e.RemoveDevice(ctx, name, d.Key)
	case 10:
		err = e.Approve(ctx, name)
	case 11:
		err = e.Reset(ctx, name)
	case 12:
		err = e.Remove(ctx, name)
	case 13, 14:
		var token string
		token, err = e.Invite(ctx, pick(w, append(w.names, "")), time.Now().Add(time.Hour))
		w.tokens[w.random.IntN(len(w.tokens)-1)+1] = token // the first is none
	case 15:
		if w.backup != nil && w.random.IntN(3) == 0 {
			err = e.Restore(ctx, bytes.NewReader(w.backup))
		} else {
			w.backup = saved(w.t, e)
		}
	}
	if err != nil && !errors.Is(err, ErrEngine) || errors.Is(err, ErrStore) {
		w.t.Fatal(err)
	}
}

// check holds what must always be so.
func (w *world) check(e *Engine) {
	owners := map[identity.PublicKey]string{}
	pending := 0
	for _, a := range e.Accounts() {
		if len(a.Devices) > MaxDevices {
			w.t.Errorf("%s has %d devices", a.Name, len(a.Devices))
		}
		if a.Pending {
			pending++
		}
		for _, d := range a.Devices {
			if other, twice := owners[d.Key]; twice {
				w.t.Errorf("a device is %s's and %s's", a.Name, other)
			}
			owners[d.Key] = a.Name
			if o, ok := e.OwnerOf(d.Key); !ok || o.Name != a.Name {
				w.t.Errorf("%s's device is said to be %q's", a.Name, o.Name)
			}
			if slices.Contains(a.Removed, d.Key) {
				w.t.Errorf("a device of %s is there and removed", a.Name)
			}
		}
	}
	if pending != e.contents.pending || len(owners) != len(e.contents.owners) {
		w.t.Errorf("%d of %d wait, %d of %d devices", pending, e.contents.pending, len(owners), len(e.contents.owners))
	}
}

// Whatever is done, no device is in two accounts, a restart changes nothing,
// and who only listens to the changes knows everything.
func TestAnyOrder(t *testing.T) {
	for range 6 {
		seed := rand.Uint64()
		w := &world{t: t, random: rand.New(rand.NewPCG(seed, 0)), names: []string{"ann", "Ann", "bo", "cy"},
			tokens: make([]string, 5), told: map[string]Account{}}
		for range 20 {
			w.devices = append(w.devices, device())
		}
		dir := t.TempDir()
		e, end := open(t, dir, w.hear)
		for range 6 {
			for range 60 {
				w.step(e)
			}
			w.check(e)
			before := e.Accounts()
			end()
			var told []Account
			for _, key := range slices.Sorted(maps.Keys(w.told)) {
				told = append(told, w.told[key])
			}
			equal(t, told, before)
			e, end = open(t, dir, w.hear)
			equal(t, e.Accounts(), before)
			w.check(e)
		}
		end()
		if t.Failed() {
			t.Fatalf("the seed was %d", seed)
		}
	}
}
