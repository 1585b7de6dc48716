package idle

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		idle, after time.Duration
		away        bool
		wait        time.Duration
	}{
		{0, 10 * time.Minute, false, 10 * time.Minute},
		{9 * time.Minute, 10 * time.Minute, false, time.Minute},
		{10*time.Minute - time.Millisecond, 10 * time.Minute, false, atLeast},
		{10 * time.Minute, 10 * time.Minute, true, returnWithin},
		{time.Hour, 10 * time.Minute, true, returnWithin},
		{time.Minute, time.Second, true, time.Second / 2},
	} {
		if away, wait := judge(c.idle, c.after); away != c.away || wait != c.wait {
			t.Errorf("%v of %v: %v, again in %v", c.idle, c.after, away, wait)
		}
	}
}

// person is a source in fake time: touched is when something last was.
type person struct {
	mu      sync.Mutex
	touched time.Time
	fails   error
}

func (p *person) idle(context.Context) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.touched), p.fails
}

func (p *person) close() {}

func (p *person) touches() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.touched = time.Now()
}

func (p *person) leaves(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails = why
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &person{touched: time.Now()}
		start := time.Now()
		type change struct {
			away bool
			at   time.Duration
		}
		var got []change
		ended := make(chan error)
		go func() {
			ended <- watch(t.Context(), p, 10*time.Minute, func(away bool) { got = append(got, change{away, time.Since(start)}) })
		}()
		settle(5 * time.Minute)
		p.touches()
		settle(10*time.Minute + time.Second)
		p.touches()
		settle(returnWithin)
		settle(10 * time.Minute)
		gone := errors.New("the screen is gone")
		p.leaves(gone)
		if err := <-ended; !errors.Is(err, ErrUnsupported) || !errors.Is(err, gone) {
			t.Errorf("got %v", err)
		}
		want := []change{{true, 15 * time.Minute}, {false, 15*time.Minute + returnWithin}, {true, 25*time.Minute + time.Second}, {false, 25*time.Minute + 41*time.Second}}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, not %v", got, want)
		}
	})
}

func settle(d time.Duration) {
	time.Sleep(d) // fake time
	synctest.Wait()
}
