package load

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
)

// seed is of all fingerprints of this process.
var seed = maphash.MakeSeed()

// entry is a user on a roster: the ID, and fingerprints of the whole entry and
// of what this crowd itself knows of the user, name and status.
type entry struct{ id, whole, face uint64 }

// change is a line of a roster's log.
type change struct {
	sum   uint64 // fingerprint of its frame
	entry entry  // whole is 0 for somebody who has gone
}

// ledger is one life of a roster as all clients together were told it. The
// first who hears of a change writes it down, and everybody else's must be the
// same, byte for byte. So a client needs no list of its own: one that has heard
// a right snapshot and every change behind it knows the roster.
type ledger struct {
	mu      sync.RWMutex
	changes []change // by sequence
	heard   uint64   // the largest sequence

	// What follows is of the earliest snapshot, replayed up to at.
	base   base
	at     uint64
	online map[uint64]entry
	digest digest
	// of is the digest after each sequence that was replayed, from the base on,
	// and claims are snapshots that wait to be compared with it.
	of     []digest
	claims []claim
	// frames are those of snapshots, by the fingerprints of their bytes: of a
	// thousand clients that are told at once all get the same ones.
	frames map[uint64]*frame
	// ahead are snapshots of which some changes before are not known yet. If
	// nobody was there to be told those, one of them is the next base.
	ahead []base
}

// maxAhead bounds ahead. Beyond it, what misses is taken for told to nobody.
const maxAhead = 256

// base is a snapshot from which changes are replayed. Without frames it is none.
type base struct {
	at     uint64
	frames []*frame
}

// frame is one frame of a snapshot. It is never changed.
type frame struct {
	sequence uint64
	more     bool // another one of the same snapshot follows
	users    []entry
	digest   digest
}

// digest is a set of users, whatever their order.
type digest struct{ whole, face, count uint64 }

func (d *digest) add(e entry)    { d.whole += e.whole; d.face += e.face; d.count++ }
func (d *digest) remove(e entry) { d.whole -= e.whole; d.face -= e.face; d.count-- }

// claim is that a snapshot at a sequence was of these users.
type claim struct {
	at     uint64
	digest digest
}

// maxFrames bounds frames.
const maxFrames = 64

// parsed returns a frame of a snapshot if somebody has parsed the same one.
func (l *ledger) parsed(sum uint64) *frame {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.frames[sum]
}

// parse notes a frame.
func (l *ledger) parse(sum uint64, f *frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.frames) >= maxFrames || l.frames == nil {
		l.frames = make(map[uint64]*frame)
	}
	l.frames[sum] = f
}

// snapshot is told of a whole snapshot.
func (l *ledger) snapshot(at uint64, frames []*frame) {
	var d digest
	for _, f := range frames {
		d.whole += f.digest.whole
		d.face += f.digest.face
		d.count += f.digest.count
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claims = append(l.claims, claim{at, d})
	l.heard = max(l.heard, at)
	l.replay()
	switch {
	case l.base.frames == nil:
		l.begin(base{at, frames})
	case at > l.at:
		if len(l.ahead) == maxAhead {
			l.skip()
		}
		l.ahead = append(l.ahead, base{at, frames})
	}
}

// begin replays from a snapshot on. The mutex is held.
func (l *ledger) begin(b base) {
	l.base, l.at, l.digest = b, b.at, digest{}
	l.online = make(map[uint64]entry)
	for _, f := range b.frames {
		for _, u := range f.users {
			l.online[u.id] = u
			l.digest.add(u)
		}
	}
	l.of = []digest{l.digest}
}

// known says whether a change stands in the ledger as the same.
func (l *ledger) known(sequence, sum uint64) (known bool, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if sequence >= uint64(len(l.changes)) || l.changes[sequence].sum == 0 {
		return false, nil
	}
	if l.changes[sequence].sum != sum {
		return false, fmt.Errorf("%w: two clients were told different changes %d", ErrStale, sequence)
	}
	return true, nil
}

// maxLedger bounds a ledger, at 40 bytes a change.
const maxLedger = 1 << 24

// write notes a change that was not known.
func (l *ledger) write(sequence uint64, c change) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sequence >= maxLedger {
		return fmt.Errorf("%w: the server speaks of change %d, which is beyond what this was made for", ErrLoad, sequence)
	}
	for sequence >= uint64(len(l.changes)) {
		l.changes = append(l.changes, change{})
	}
	l.changes[sequence] = c
	l.heard = max(l.heard, sequence)
	return nil
}

// now replays what is known and returns the largest sequence anybody has heard
// of, and who is online there. It is an error if a change before it was told
// to nobody, or a snapshot was wrong.
func (l *ledger) now() (uint64, digest, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.replay()
	for l.at < l.heard {
		if !l.skip() {
			return l.heard, l.digest, fmt.Errorf("%w: nobody was told change %d", ErrStale, l.at+1)
		}
	}
	for _, c := range l.claims {
		if c.at < l.base.at {
			continue // nobody was told what lies between
		}
		if at := l.of[c.at-l.base.at]; at != c.digest {
			return l.heard, l.digest, fmt.Errorf("%w: a snapshot at %d had %d users, and by the changes there were %d, or others", ErrStale, c.at, c.digest.count, at.count)
		}
	}
	l.claims = l.claims[:0]
	return l.heard, l.digest, nil
}

// skip goes on from the earliest snapshot behind the place where changes are
// missing. It is false if there is none. The mutex is held.
func (l *ledger) skip() bool {
	if len(l.ahead) == 0 {
		return false
	}
	l.begin(slices.MinFunc(l.ahead, func(a, b base) int { return cmp.Compare(a.at, b.at) }))
	l.replay()
	return true
}

// replay has the changes that are known have their effect, up to the first that
// is not. The mutex is held.
func (l *ledger) replay() {
	for {
		next := l.at + 1
		if l.base.frames == nil || next >= uint64(len(l.changes)) || l.changes[next].sum == 0 {
			break
		}
		e := l.changes[next].entry
		if old, there := l.online[e.id]; there {
			l.digest.remove(old)
			delete(l.online, e.id)
		}
		if e.whole != 0 {
			l.digest.add(e)
			l.online[e.id] = e
		}
		l.at = next
		l.of = append(l.of, l.digest)
	}
	l.ahead = slices.DeleteFunc(l.ahead, func(b base) bool { return b.at <= l.at })
}
