package ui

import "sync"

// Queue holds what was posted to a toolkit's thread until that calls it. The
// zero Queue takes posts and wakes nobody yet. Post may be called from any
// goroutine.
type Queue struct {
	mu    sync.Mutex
	posts []func()
	wake  func() // nil before Open
	ended bool
}

// Open says that the loop runs. From now on wake, which must not block, is
// called when something waits and nothing did before: it has the loop call
// Drain soon.
func (q *Queue) Open(wake func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wake = wake
	if len(q.posts) > 0 {
		wake()
	}
}

// Post has f called by Drain, in the order of the posts. After End it does
// nothing.
func (q *Queue) Post(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return
	}
	q.posts = append(q.posts, f)
	if q.wake != nil && len(q.posts) == 1 {
		q.wake()
	}
}

// Drain calls what was posted. It belongs to the toolkit's thread.
func (q *Queue) Drain() {
	q.mu.Lock()
	posts := q.posts
	q.posts = nil
	q.mu.Unlock()
	for _, f := range posts {
		f()
	}
}

// End drops what waits and what comes.
func (q *Queue) End() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.posts, q.ended = nil, true
}
