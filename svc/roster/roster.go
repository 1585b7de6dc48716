// Package roster is who is online, and the log of how that changed. Whoever
// keeps others up to date takes a snapshot and follows the log from there;
// nobody is ever called back, and nothing here does I/O.
package roster

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"

	"earshot/protocol/classic"
)

var (
	// ErrNameTaken is a join under a name that somebody online has, if only
	// in another case or width (see classic.NameKey).
	ErrNameTaken = errors.New("somebody else is online under this name")
	// ErrBehind is a position that the log no longer reaches back to, or that
	// is of another epoch. What helps is a new snapshot.
	ErrBehind = errors.New("the log of changes does not reach back that far")
)

// MaxLog is how many changes the log holds at least, once so many have
// happened; it is trimmed at twice that.
const MaxLog = 1 << 14

// User is somebody who is online.
type User struct {
	// ID tells this stay from every other one of the epoch, of the same name
	// too.
	ID uint64
	// Name is spelled as its owner spelled it.
	Name string
	// Endpoint is where the user listens for datagrams.
	Endpoint netip.AddrPort
}

// Kind says what happened to a user.
type Kind uint8

const (
	Joined Kind = iota
	Left
)

// Change is an entry of the log.
type Change struct {
	// Seq counts the changes of the epoch, from 1, without gaps.
	Seq  uint64
	Kind Kind
	User User
}

// Position is a place in the log: everything up to Seq is known.
type Position struct {
	// Epoch is the life of one roster, drawn at random: what was read from
	// another one says nothing about this one.
	Epoch, Seq uint64
}

// Roster is the list and its log. One mutex guards both, so that a snapshot
// and the position from which to follow it are one step. All methods may be
// called from any goroutine.
type Roster struct {
	mu     sync.Mutex
	epoch  uint64
	nextID uint64
	users  map[uint64]User
	byKey  map[string]uint64
	log    []Change // the newest, without gaps
	seq    uint64   // of the last change
	// changed is closed by the next change; nil while nobody waits for it.
	changed chan struct{}
}

// New returns an empty roster of a new epoch.
func New() *Roster {
	return &Roster{epoch: rand.Uint64(), users: make(map[uint64]User), byKey: make(map[string]uint64)}
}

// Join puts a user on the list and returns the user with the position of that
// change. The name must be valid (classic.ValidateName). The error is
// ErrNameTaken.
func (r *Roster) Join(name string, endpoint netip.AddrPort) (User, Position, error) {
	key := classic.NameKey(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.byKey[key]; taken {
		return User{}, Position{}, ErrNameTaken
	}
	r.nextID++
	user := User{ID: r.nextID, Name: name, Endpoint: endpoint}
	r.users[user.ID] = user
	r.byKey[key] = user.ID
	r.append(Joined, user)
	return user, r.position(), nil
}

// Leave takes the user off the list. It is false if the user was not on it.
func (r *Roster) Leave(id uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	user, ok := r.users[id]
	if !ok {
		return false
	}
	delete(r.users, id)
	delete(r.byKey, classic.NameKey(user.Name))
	r.append(Left, user)
	return true
}

// Lookup returns who is online under name, or under one that counts as the
// same.
func (r *Roster) Lookup(name string) (User, bool) {
	key := classic.NameKey(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	id, ok := r.byKey[key]
	return r.users[id], ok
}

// Len returns how many users are online.
func (r *Roster) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.users)
}

// Snapshot returns everybody, in the order in which they came, and the
// position from which to follow.
func (r *Roster) Snapshot() ([]User, Position) {
	r.mu.Lock()
	users := make([]User, 0, len(r.users))
	for _, u := range r.users {
		users = append(users, u)
	}
	at := r.position()
	r.mu.Unlock()
	slices.SortFunc(users, func(a, b User) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return users, at
}

// Since appends to dst what happened after a position, and returns it with
// the position behind it. The error is ErrBehind.
func (r *Roster) Since(dst []Change, after Position) ([]Change, Position, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.seq + 1 - uint64(len(r.log)) // that the log holds
	if after.Epoch != r.epoch || after.Seq+1 < first || after.Seq > r.seq {
		return dst, after, ErrBehind
	}
	return append(dst, r.log[after.Seq+1-first:]...), r.position(), nil
}

// Changed returns a channel that is closed once something has happened after
// the position, at once if it has already. However much happens meanwhile, it
// wakes its reader once: Since then returns all of it.
func (r *Roster) Changed(after Position) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	wake := r.changed
	if after != r.position() {
		close(r.changed)
		r.changed = nil
	}
	return wake
}

// append logs a change. The mutex is held.
func (r *Roster) append(kind Kind, user User) {
	r.seq++
	if len(r.log) == 2*MaxLog {
		r.log = append(r.log[:0], r.log[MaxLog:]...)
	}
	r.log = append(r.log, Change{Seq: r.seq, Kind: kind, User: user})
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

func (r *Roster) position() Position { return Position{r.epoch, r.seq} }
