// Package roster is who is online, and the log of how that changed. Whoever
// keeps others up to date takes a snapshot and follows the log from there;
// nobody is ever called back, and nothing here does I/O.
package roster

import (
	"bytes"
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

// The log is trimmed to its newest half when it has twice as many changes as
// MaxLog, or when these take twice as many bytes as MaxLogBytes.
const (
	MaxLog      = 1 << 14
	MaxLogBytes = 8 << 20
)

// User is somebody who is online, in either protocol. It is cheap to copy.
type User struct {
	// ID tells this stay from every other one of the epoch, of the same name
	// too.
	ID uint64
	// Name is spelled as its owner spelled it.
	Name string
	// Endpoint is where the user listens for datagrams of the classic protocol,
	// and Encoding what is understood there. A secure user may have none.
	Endpoint netip.AddrPort
	Encoding classic.Encoding
	// Secure is nil for a classic user. What it points to is never changed.
	Secure *Secure
}

// Kind says what happened to a user.
type Kind uint8

const (
	Joined Kind = iota
	Left
	// Changed is an entry that replaces the one of the same ID. Its name is the
	// same.
	Changed
)

// Change is an entry of the log.
type Change struct {
	// Seq counts the changes of the epoch, from 1, without gaps.
	Seq  uint64
	Kind Kind
	User User
	// Was is the endpoint before a Changed.
	Was netip.AddrPort
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
	users  map[uint64]*entry
	byKey  map[string]*entry
	all    []*entry // the same, in no order
	log    log
	whole  whole
	// changed is closed by the next change; nil while nobody waits for it.
	changed chan struct{}
}

// entry is a user on the list. Roster.mu guards user and index.
type entry struct {
	user  User
	index int // in Roster.all
	// encoded is the user as a wire.User. The bytes are never changed.
	encoded []byte
}

// New returns an empty roster of a new epoch.
func New() *Roster {
	return &Roster{epoch: rand.Uint64(), users: make(map[uint64]*entry), byKey: make(map[string]*entry)}
}

// Join puts a classic user on the list who speaks UTF-16; see Add.
func (r *Roster) Join(name string, endpoint netip.AddrPort) (User, Position, error) {
	return r.Add(User{Name: name, Endpoint: endpoint})
}

// Add puts a user on the list, whose ID is given by the roster, and returns the
// user with the position of that change. The name must be valid
// (classic.ValidateName). The error is ErrNameTaken.
func (r *Roster) Add(user User) (User, Position, error) {
	key := classic.NameKey(user.Name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.byKey[key]; taken {
		return User{}, Position{}, ErrNameTaken
	}
	r.nextID++
	user.ID = r.nextID
	e := &entry{user: user, index: len(r.all), encoded: encode(user)}
	r.users[user.ID] = e
	r.byKey[key] = e
	r.all = append(r.all, e)
	r.append(Change{Kind: Joined, User: user}, e.encoded)
	return user, r.position(), nil
}

// Update replaces a user's entry by what f makes of it; neither ID nor name can
// be changed. Nothing happens if the entry comes out as it was. It is false if
// the user is not on the list. f must not call the roster.
func (r *Roster) Update(id uint64, f func(*User)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.users[id]
	if e == nil {
		return false
	}
	before, after := e.user, e.user
	f(&after)
	after.ID, after.Name = before.ID, before.Name
	encoded := encode(after)
	if bytes.Equal(encoded, e.encoded) {
		return true
	}
	// A new entry, because a snapshot may still be reading the old one.
	replaced := &entry{user: after, index: e.index, encoded: encoded}
	r.users[id] = replaced
	r.byKey[classic.NameKey(after.Name)] = replaced
	r.all[e.index] = replaced
	r.append(Change{Kind: Changed, User: after, Was: before.Endpoint}, encoded)
	return true
}

// Leave takes the user off the list. It is false if the user was not on it.
func (r *Roster) Leave(id uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.users[id]
	if e == nil {
		return false
	}
	delete(r.users, id)
	delete(r.byKey, classic.NameKey(e.user.Name))
	last := len(r.all) - 1
	r.all[e.index] = r.all[last]
	r.all[e.index].index = e.index
	r.all[last] = nil
	r.all = r.all[:last]
	r.append(Change{Kind: Left, User: e.user}, nil)
	return true
}

// Lookup returns who is online under name, or under one that counts as the
// same.
func (r *Roster) Lookup(name string) (User, bool) {
	key := classic.NameKey(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.byKey[key]; e != nil {
		return e.user, true
	}
	return User{}, false
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
	users := make([]User, 0, len(r.all))
	for _, e := range r.all {
		users = append(users, e.user)
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
	i, ok := r.find(after)
	if !ok {
		return dst, after, ErrBehind
	}
	for _, l := range r.log.lines[i:] {
		dst = append(dst, l.change)
	}
	return dst, r.position(), nil
}

// Frames is Since for a secure client: the changes as frames of wire.ToClient,
// one behind the other, which must not be changed. There may be more behind
// next; there is nothing if next is after. The error is ErrBehind.
func (r *Roster) Frames(after Position) (frames []byte, next Position, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.find(after)
	if !ok {
		return nil, after, ErrBehind
	}
	frames, seq := r.log.from(i, after.Seq)
	return frames, Position{r.epoch, seq}, nil
}

// find returns the index in the log of the first change after a position. The
// mutex is held.
func (r *Roster) find(after Position) (int, bool) {
	first := r.log.seq + 1 - uint64(len(r.log.lines)) // that the log holds
	if after.Epoch != r.epoch || after.Seq+1 < first || after.Seq > r.log.seq {
		return 0, false
	}
	return int(after.Seq + 1 - first), true
}

// Resumable says whether somebody who knows the roster up to a position should
// be told the changes since, rather than the whole of it anew, which is less if
// much has happened.
func (r *Roster) Resumable(after Position) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.find(after)
	return ok && len(r.log.lines)-i <= len(r.all)+500
}

// Position returns the one up to which everything has happened.
func (r *Roster) Position() Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position()
}

// Epoch returns the life of this roster.
func (r *Roster) Epoch() uint64 { return r.epoch }

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

// append logs a change, whose number is given here. The mutex is held.
func (r *Roster) append(c Change, encoded []byte) {
	r.log.append(c, encoded)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

func (r *Roster) position() Position { return Position{r.epoch, r.log.seq} }
