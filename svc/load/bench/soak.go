//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"syscall"
	"time"

	"earshot/svc/load"
)

// A soak is an office that never rests: people log in and out, their computers
// crash, they change their status, some read nothing for a while, and the
// coordinator is told to read its configuration anew. At each checkpoint all is
// quiet for a moment, and everybody must know exactly who is there. The
// coordinator must not have grown.
type soak struct {
	run
	crowd  *load.Secure
	online []bool
	slept  map[int]bool // since they logged in, or all was quiet
	random *rand.Rand
	log    io.Writer
	counts struct{ in, out, crashed, status, asleep, reload, lost int }
}

// soakPlan is how a soak goes.
type soakPlan struct {
	earshotd    string
	clients     int
	lasts       time.Duration
	checkpoints time.Duration
	perSecond   int // things that happen
	seed        uint64
}

func soakMain(ctx context.Context, arguments []string, stdout io.Writer) error {
	p := soakPlan{seed: rand.Uint64()}
	flags := flag.NewFlagSet("bench soak", flag.ContinueOnError)
	flags.StringVar(&p.earshotd, "earshotd", "bin/earshotd", "the coordinator's program")
	flags.IntVar(&p.clients, "clients", 1000, "how many people there are; about half of them are online")
	flags.DurationVar(&p.lasts, "lasts", 30*time.Minute, "how long")
	flags.DurationVar(&p.checkpoints, "checkpoints", time.Minute, "how long from one checkpoint to the next")
	flags.IntVar(&p.perSecond, "per-second", 50, "how many things happen in a second")
	flags.Uint64Var(&p.seed, "seed", p.seed, "which things happen")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "earshot-soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return runSoak(ctx, dir, p, stdout)
}

// checkpoint is what the coordinator is like when all is quiet.
type checkpoint struct {
	memory     int64
	goroutines float64
	online     int
}

// runSoak returns what was wrong.
func runSoak(ctx context.Context, dir string, p soakPlan, stdout io.Writer) error {
	onServer, onClients := processors()
	if err := load.Pin(onClients...); err != nil {
		return err
	}
	runtime.GOMAXPROCS(len(onClients))
	fmt.Fprintf(stdout, "soak of %v with %d clients, seed %d\n", p.lasts, p.clients, p.seed)
	s, err := find(servers(p.earshotd, dir, onServer), "secure")
	if err != nil {
		return err
	}
	r, err := s.begin(ctx, p.clients, plan{}, nil)
	if err != nil {
		return err
	}
	defer r.end()
	k := &soak{run: *r, crowd: r.crowd.(*load.Secure), online: make([]bool, p.clients), slept: make(map[int]bool), random: rand.New(rand.NewPCG(p.seed, 0)), log: stdout}
	if err := k.login(ctx, 0, p.clients); err != nil {
		return err
	}
	for client := range k.online {
		k.online[client] = true
	}
	var points []checkpoint
	err = k.alive(ctx, func() error {
		for end := time.Now().Add(p.lasts); time.Now().Before(end); {
			if err := k.live(ctx, p); err != nil {
				return err
			}
			c, err := k.check(ctx)
			if err != nil {
				return err
			}
			points = append(points, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "what happened: %+v\n", k.counts)
	return flat(points)
}

func find(all []server, name string) (server, error) {
	for _, s := range all {
		if s.name == name {
			return s, nil
		}
	}
	return server{}, fmt.Errorf("%w: there is no server %s", load.ErrLoad, name)
}

// live has things happen until it is time for a checkpoint.
func (k *soak) live(ctx context.Context, p soakPlan) error {
	tick := time.NewTicker(time.Second / time.Duration(p.perSecond))
	defer tick.Stop()
	for range int(p.checkpoints.Seconds() * float64(p.perSecond)) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := k.something(ctx); err != nil {
			return err
		}
	}
	return nil
}

// something happens to somebody.
func (k *soak) something(ctx context.Context) error {
	client := k.random.IntN(len(k.online))
	if !k.online[client] {
		k.counts.in++
		k.online[client], k.slept[client] = true, false
		return k.run.crowd.Login(ctx, client)
	}
	if !k.crowd.Alive(client) {
		return k.gone(client)
	}
	switch n := k.random.IntN(100); {
	case n < 20:
		k.counts.out++
		k.online[client] = false
		return k.crowd.Logout(client)
	case n < 40:
		k.counts.crashed++
		k.online[client] = false
		return k.crowd.Crash(client)
	case n < 45:
		k.counts.asleep++
		k.slept[client] = true
		k.crowd.Asleep(client)
	case n < 47:
		k.counts.reload++
		return k.process.Signal(syscall.SIGHUP)
	default:
		k.counts.status++
		if err := k.crowd.SetStatus(client, fmt.Sprint("busy ", k.random.Uint32())); err != nil {
			return k.gone(client)
		}
	}
	return nil
}

// gone notes that the coordinator has ended somebody's connection, which it may
// do only to who has read nothing for half a minute.
func (k *soak) gone(client int) error {
	if !k.slept[client] {
		return fmt.Errorf("%w: client %d was thrown out, and had read everything", load.ErrLoad, client)
	}
	k.counts.lost++
	k.online[client], k.slept[client] = false, false
	return k.crowd.Crash(client)
}

// awaken has everybody read again, and waits until those who are too late for
// that have noticed.
func (k *soak) awaken(ctx context.Context) error {
	for client := range k.online {
		k.crowd.Awake(client)
	}
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		for client, online := range k.online {
			if online && !k.crowd.Alive(client) {
				if err := k.gone(client); err != nil {
					return err
				}
			}
		}
		waiting, cancel := context.WithTimeout(ctx, time.Second)
		_, err = k.crowd.Settled(waiting)
		cancel()
		if err == nil {
			clear(k.slept)
			return nil
		}
	}
	return err
}

// check waits until all is told to everybody, and looks at the coordinator.
func (k *soak) check(ctx context.Context) (checkpoint, error) {
	c := checkpoint{}
	if err := k.awaken(ctx); err != nil {
		return c, err
	}
	for _, online := range k.online {
		if online {
			c.online++
		}
	}
	var err error
	if c.goroutines, err = metric(ctx, k.at, "go_goroutines"); err != nil {
		return c, err
	}
	c.memory = k.process.Memory()
	fmt.Fprintf(k.log, "all %d online know everybody; the coordinator has %.1f MB and %.0f goroutines\n", c.online, float64(c.memory)/1e6, c.goroutines)
	return c, nil
}

// A client has a reader and a writer, and what belongs to the connection.
const (
	goroutinesEach = 2
	goroutinesMost = 200
)

// flat says what has grown from the first third of the checkpoints to the last.
func flat(points []checkpoint) error {
	var errs []error
	for _, c := range points {
		if c.goroutines > float64(goroutinesEach*c.online+goroutinesMost) {
			errs = append(errs, fmt.Errorf("%w: %.0f goroutines for %d people online", load.ErrLoad, c.goroutines, c.online))
		}
	}
	third := len(points) / 3
	if third == 0 {
		return errors.Join(errs...)
	}
	before, after := average(points[third:2*third]), average(points[2*third:])
	if after > before*5/4 {
		errs = append(errs, fmt.Errorf("%w: the coordinator's memory grew from %.1f MB to %.1f", load.ErrLoad, before/1e6, after/1e6))
	}
	return errors.Join(errs...)
}

func average(points []checkpoint) float64 {
	sum := int64(0)
	for _, c := range points {
		sum += c.memory
	}
	return float64(sum) / float64(len(points))
}
