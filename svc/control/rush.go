package control

import (
	"sync"
	"time"
)

// A rush is many logins one upon the other, as after a restart.
const (
	// rushLogins is from how many on they are a rush.
	rushLogins = 32
	// rushGap is the longest time between two of one rush.
	rushGap = 20 * time.Millisecond
	// rushTime is how long one may last. If the logins go on, another one
	// begins.
	rushTime = time.Second
)

// rush has those who log in come first: as long as it lasts, nobody is told of
// the roster, and then each is told all of it at once. To tell everybody of
// everybody one by one takes a coordinator longer than to let them in.
type rush struct {
	mu     sync.Mutex
	logins int           // of this rush, or of what may become one
	began  time.Time     // the first of them
	last   time.Time     // the newest
	over   chan struct{} // closed at the end; nil while there is no rush
}

// login notes that a device has logged in.
func (r *rush) login() {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over == nil && now.Sub(r.last) > rushGap {
		r.logins, r.began = 0, now
	}
	r.logins++
	r.last = now
	if r.over == nil && r.logins >= rushLogins {
		r.over = make(chan struct{})
		time.AfterFunc(rushGap, r.look)
	}
}

// look ends the rush if it is time for that.
func (r *rush) look() {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	left := min(rushGap-now.Sub(r.last), rushTime-now.Sub(r.began))
	if left > 0 {
		time.AfterFunc(left, r.look)
		return
	}
	close(r.over)
	r.over, r.logins, r.began = nil, 0, now
}

// on returns a channel that is closed when the rush is over; nil if there is
// none.
func (r *rush) on() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}
