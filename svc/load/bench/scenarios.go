//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"earshot/svc/load"
)

const (
	// atOnce is how many clients log in at the same time.
	atOnce = 64
	// storm is how many sessions a session storm has, and how many changes a
	// second a status storm.
	storm = 100
	// stormers is how many of a session storm's sessions are there at a time.
	stormers = 16
	// Other servers let everyone wait for a second who logs in, so more do that
	// at a time, and the whole is done less often.
	othersAtOnce   = 500
	othersStormers = storm
	othersRounds   = 2
)

// run is one server with a number of clients.
type run struct {
	server  server
	n       int
	plan    plan
	note    func(result)
	at      netip.AddrPort
	process *load.Process
	crowd   load.Crowd
	empty   int64         // bytes of memory without clients
	before  time.Duration // of the processor, when what is measured began
	clients time.Duration // of that of the clients
	began   time.Time
	rested  time.Duration // that the server's processors had nothing to do
}

// measure runs all scenarios of a server with n clients.
func (s server) measure(ctx context.Context, n int, p plan, note func(result)) error {
	if s.floor != "" {
		return s.measureFloor(ctx, n, p, note)
	}
	if !s.ours {
		p.rounds = min(p.rounds, othersRounds)
	}
	r, err := s.begin(ctx, n+storm, p, note)
	if err != nil {
		return err
	}
	r.n = n
	defer r.end()
	for _, scenario := range []func(context.Context) error{r.alone, r.cold, r.resting, r.newcomers, r.sessions, r.statuses, r.reconnect, r.restart} {
		ctx, cancel := context.WithTimeout(ctx, p.patience+p.quiet)
		err := scenario(ctx)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// begin starts the server without clients.
func (s server) begin(ctx context.Context, clients int, p plan, note func(result)) (*run, error) {
	if err := os.RemoveAll(s.dir); err != nil {
		return nil, err
	}
	at, err := freePorts()
	if err != nil {
		return nil, err
	}
	r := &run{server: s, n: clients, plan: p, note: note, at: at, crowd: s.crowd(at, clients)}
	if r.process, err = s.start(ctx, at); err != nil {
		return nil, err
	}
	r.empty = r.process.Memory()
	return r, nil
}

func (r *run) end() {
	r.process.Kill()
	r.crowd.Close()
}

// each does something for clients from one to another, some at the same time.
func each(from, to, atOnce int, do func(client int) error) error {
	var working sync.WaitGroup
	next := make(chan int)
	failed := make(chan error, atOnce)
	for range atOnce {
		working.Go(func() {
			for client := range next {
				if err := do(client); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	go func() {
		working.Wait()
		close(failed)
	}()
	for client := from; client < to; client++ {
		select {
		case next <- client:
		case err := <-failed:
			close(next)
			return err
		}
	}
	close(next)
	return <-failed
}

func (r *run) login(ctx context.Context, from, to int) error {
	many := atOnce
	if !r.server.ours {
		many = othersAtOnce
	}
	return each(from, to, many, func(client int) error { return r.crowd.Login(ctx, client) })
}

// start is when something to be measured begins.
func (r *run) start() {
	r.before, r.clients, r.began, r.rested = r.process.CPU(), ownCPU(), time.Now(), load.Rested(r.server.processors...)
}

// ownCPU is the processor time that this process has used, which is what clients
// take. A server that waits for it shows less than it could.
func ownCPU() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // fails for no process of one's own
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// finish waits until everybody knows everything, and returns what it took to
// deliver so many changes. The processor time is that of the server alone.
func (r *run) finish(ctx context.Context, scenario string, delivered int) (result, error) {
	known, err := r.crowd.Settled(ctx)
	if err != nil {
		return result{}, fmt.Errorf("%s: %w", scenario, err)
	}
	used := r.process.CPU() - r.before
	out := result{Server: r.server.name, Clients: r.n, Scenario: scenario, CPU: ms(used), Crowd: ms(ownCPU() - r.clients), Delivered: delivered}
	if len(known) > 0 {
		since := func(i int) float64 { return ms(known[i].At.Sub(r.began)) }
		out.Wall, out.P50, out.P99 = since(len(known)-1), since(len(known)/2), since(len(known)*99/100)
	}
	if delivered > 0 {
		out.Each = float64(used.Microseconds()) / float64(delivered)
	}
	return out, nil
}

// noted notes what was measured, unless something was wrong.
func (r *run) noted(out result, err error) error {
	if err == nil {
		r.note(out)
	}
	return err
}

// alone is a storm's sessions with nobody there: what they cost by themselves.
func (r *run) alone(ctx context.Context) error {
	r.start()
	for range r.plan.rounds {
		if err := r.sessionStorm(ctx); err != nil {
			return err
		}
	}
	out, err := r.finish(ctx, "sessions alone", 0)
	out.CPU /= float64(r.plan.rounds)
	return r.noted(out, err)
}

// cold is everybody's first login, at once.
func (r *run) cold(ctx context.Context) error {
	r.start()
	if err := r.login(ctx, 0, r.n); err != nil {
		return err
	}
	out, err := r.finish(ctx, "cold start", r.n*r.n)
	return r.noted(out, err)
}

// resting is idle for clients that nobody keeps alive yet.
func (r *run) resting(ctx context.Context) error {
	return r.alive(ctx, func() error { return r.idle(ctx) })
}

// idle is what clients cost that do nothing.
func (r *run) idle(ctx context.Context) error {
	r.start()
	select {
	case <-time.After(r.plan.quiet):
	case <-ctx.Done():
		return ctx.Err()
	}
	out, err := r.finish(ctx, "idle", 0)
	wall := time.Since(r.began)
	out.Wall, out.P50, out.P99 = ms(wall), 0, 0
	out.Busy = ms(wall - (load.Rested(r.server.processors...) - r.rested))
	out.Memory = float64(r.process.Memory()-r.empty) / 1000 / float64(r.n)
	return r.noted(out, err)
}

// sessions are logins and logouts one upon the other.
func (r *run) sessions(ctx context.Context) error {
	r.start()
	for range r.plan.rounds {
		if err := r.sessionStorm(ctx); err != nil {
			return err
		}
	}
	out, err := r.finish(ctx, "session storm", 2*storm*r.n*r.plan.rounds)
	out.CPU /= float64(r.plan.rounds)
	out.Crowd /= float64(r.plan.rounds)
	out.Wall /= float64(r.plan.rounds)
	out.P50, out.P99 = 0, 0
	return r.noted(out, err)
}

// sessionStorm logs the storm's clients in and out.
func (r *run) sessionStorm(ctx context.Context) error {
	many := stormers
	if !r.server.ours {
		many = othersStormers
	}
	return each(r.n, r.n+storm, many, func(client int) error {
		if err := r.crowd.Login(ctx, client); err != nil {
			return err
		}
		return r.crowd.Logout(client)
	})
}

// statuses is a change of somebody's status a hundred times a second.
func (r *run) statuses(ctx context.Context) error {
	crowd, ok := r.crowd.(load.Statuses)
	if !ok {
		return nil
	}
	r.start()
	changes := storm * min(r.plan.rounds, 5)
	tick := time.NewTicker(time.Second / storm)
	defer tick.Stop()
	for i := range changes {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := crowd.SetStatus(rand.IntN(r.n), fmt.Sprint("busy ", i)); err != nil {
			return err
		}
	}
	out, err := r.finish(ctx, "status storm", changes*r.n)
	out.P50, out.P99 = 0, 0
	return r.noted(out, err)
}

// reconnect is a network that loses all connections and is back.
func (r *run) reconnect(ctx context.Context) error {
	r.start()
	if err := each(0, r.n, atOnce, r.crowd.Crash); err != nil {
		return err
	}
	if err := r.login(ctx, 0, r.n); err != nil {
		return err
	}
	out, err := r.finish(ctx, "reconnect storm", r.n*r.n)
	return r.noted(out, err)
}

// restart is a server that is killed, and all of its clients back at its
// successor. The time begins when that is started.
func (r *run) restart(ctx context.Context) error {
	r.process.Kill()
	if err := each(0, r.n, atOnce, r.crowd.Crash); err != nil {
		return err
	}
	began := time.Now()
	p, err := r.server.start(ctx, r.at)
	if err != nil {
		return err
	}
	r.process, r.before, r.clients, r.began = p, 0, ownCPU(), began
	if err := r.login(ctx, 0, r.n); err != nil {
		return err
	}
	out, err := r.finish(ctx, "restart", r.n*r.n)
	return r.noted(out, err)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
