// Package rush says when people are told of changes while very many happen: of
// logins one upon the other, as after a restart, and of all else.
package rush

import (
	"sync"
	"time"
)

const (
	// Logins is from how many on they are a rush.
	Logins = 32
	// Gap is the longest time between two of one rush. For each login of the rush
	// gapEach is added: to tell everybody takes far longer than that, so to have
	// waited in vain costs little, and to have begun too early much.
	Gap     = 20 * time.Millisecond
	gapEach = 25 * time.Microsecond
	// A rush lasts a second at most, and a millisecond for each of its logins:
	// a crowd may take longer on a slow computer, and what trickles in may keep
	// nobody waiting. Longest is the end of any. If the logins go on then,
	// another one begins.
	lasts     = time.Second
	lastsEach = time.Millisecond
	Longest   = 5 * time.Second

	// restTime is from the end of a rush to Rest.
	restTime = 5 * time.Second
)

// Rush has those who log in come first: as long as it lasts, nobody is told of
// the roster, and then each is told all of it at once. To tell everybody of
// everybody one by one takes a coordinator longer than to let them in. The zero
// value is none. All methods may be called from any goroutine.
type Rush struct {
	// Rest, if it is set before the first login, is called when no rush has been
	// for a while after one.
	Rest func()

	mu     sync.Mutex
	logins int           // of this rush, or of what may become one
	began  time.Time     // the first of them
	last   time.Time     // the newest
	over   chan struct{} // closed at the end; nil while there is no rush
	rest   *time.Timer   // until Rest is called
}

// Login notes that a device has logged in.
func (r *Rush) Login() {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil && now.Sub(r.last) > Gap {
		r.logins, r.began = 0, now
	}
	r.logins++
	r.last = now
	if r.over == nil && r.logins >= Logins {
		r.over = make(chan struct{})
		if r.rest != nil {
			r.rest.Stop()
		}
		time.AfterFunc(r.gap(), r.look)
	}
}

// gap is how long after the last login the rush goes on. The mutex is held.
func (r *Rush) gap() time.Duration { return Gap + time.Duration(r.logins)*gapEach }

// look ends the rush if it is time for that.
func (r *Rush) look() {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	most := min(lasts+time.Duration(r.logins)*lastsEach, Longest)
	left := min(r.gap()-now.Sub(r.last), most-now.Sub(r.began))
	if left > 0 {
		time.AfterFunc(left, r.look)
		return
	}
	close(r.over)
	if r.Rest != nil {
		r.rest = time.AfterFunc(restTime, r.Rest)
	}
	r.over, r.logins, r.began = nil, 0, now
}

// Over returns a channel that is closed when the rush is over; nil if there is
// none.
func (r *Rush) Over() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// roundEach is five times what it takes to write to one client, so telling takes
// at most a fifth of a processor from those who are logging in. To write more
// often costs more and has everybody know later, after a restart with two
// thousand clients twice as late; svc/PERFORMANCE.md has the measurements.
const roundEach = 50 * time.Microsecond

// Round is how long a client waits between two times of being told, while much
// goes on and so many are online. What comes after quiet need not wait.
func Round(online int) time.Duration { return time.Duration(online) * roundEach }
