package classic

import (
	"context"
	"sync"
)

// lanes carry out what is to be done for each person in the order in which it
// was asked for; one person's lane doesn't wait for another's. One mutex guards
// the table; a lane has a goroutine while there is something in it.
type lanes struct {
	mu      sync.Mutex
	ctx     context.Context // nil before open
	ended   bool
	queues  map[string][]func(context.Context)
	running sync.WaitGroup
}

func newLanes() *lanes { return &lanes{queues: make(map[string][]func(context.Context))} }

// open lets work begin, and returns what waits for the end of all of it, to be
// called once ctx has ended.
func (l *lanes) open(ctx context.Context) (wait func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ctx = ctx
	for name := range l.queues {
		l.running.Go(func() { l.drain(ctx, name) })
	}
	return func() {
		l.mu.Lock()
		l.ended = true
		l.mu.Unlock()
		l.running.Wait()
	}
}

// add puts work at the end of a lane. Work is always called, with a context
// that has ended if it comes too late.
func (l *lanes) add(name string, work func(context.Context)) {
	l.mu.Lock()
	queue, busy := l.queues[name]
	if l.ended && !busy {
		l.mu.Unlock()
		work(l.ctx)
		return
	}
	defer l.mu.Unlock()
	l.queues[name] = append(queue, work)
	if !busy && l.ctx != nil {
		l.running.Go(func() { l.drain(l.ctx, name) })
	}
}

func (l *lanes) drain(ctx context.Context, name string) {
	for {
		l.mu.Lock()
		queue := l.queues[name]
		if len(queue) == 0 {
			delete(l.queues, name)
			l.mu.Unlock()
			return
		}
		l.queues[name] = queue[1:]
		l.mu.Unlock()
		queue[0](ctx)
	}
}
