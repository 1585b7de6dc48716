package relay

import (
	"sync"
	"time"

	"earshot/svc/limit"
)

// account is what a device has had carried, on all its connections.
type account struct {
	mu       sync.Mutex // guards what follows
	pace     limit.Pace // of packets, dropped ones too
	flood    limit.Pace // of packets, as fast as they are read
	requests limit.Pace // of frames that are no packets
	day      int64      // since 1970, UTC
	bytes    int64      // forwarded on that day
}

// day is the day of UTC.
func day(now time.Time) int64 { return now.Unix() / (24 * 60 * 60) }

// arrive is a packet that was read. It says whether the packet is within the
// rate, and how long to wait with the next one.
func (a *account) arrive(size int, now time.Time, perSecond int) (within bool, wait time.Duration) {
	interval := time.Duration(size) * time.Second / time.Duration(perSecond)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pace.Allow(now, interval, burst), a.flood.Wait(now, interval/floodFactor, burst)
}

// request is a frame that is no packet. It says whether there may be so many.
func (a *account) request(now time.Time, maxOpen int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	// A device that is back opens all it had, and may be back soon.
	return a.requests.Allow(now, requestCost, max(requestBurst, 4*time.Duration(maxOpen)*requestCost))
}

// spend counts a packet that is forwarded, and says whether it is the one by
// which the day's quota is used up.
func (a *account) spend(size int, now time.Time, perDay int64) (usedUp bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if today := day(now); a.day != today {
		a.day, a.bytes = today, 0
	}
	before := a.bytes
	a.bytes += int64(size)
	return before < perDay && a.bytes >= perDay
}

// over says whether the day's quota is used up.
func (a *account) over(now time.Time, perDay int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.day == day(now) && a.bytes >= perDay
}

// unused says that there is nothing to remember.
func (a *account) unused() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bytes == 0 && a.pace == limit.Pace{} && a.requests == limit.Pace{}
}

// old says that what is known means nothing any more.
func (a *account) old(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.day != day(now)
}
