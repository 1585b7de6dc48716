//go:build linux

// Command bench measures the coordinator, and beside it what no server can do
// better than, and other presence servers that do the same work, each alone on
// one of the machine's processors, with crowds of clients on another one.
//
//	bench [FLAGS]        measure, and write a table, JSON and a plot
//	bench soak [FLAGS]   an hour of an office in minutes, again and again
//
// Everything stays on the loopback interface.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"earshot/svc/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch arguments := os.Args[1:]; {
	case len(arguments) > 0 && arguments[0] == "floor":
		err = floor(arguments[1:], os.Stdin, os.Stdout)
	case len(arguments) > 0 && arguments[0] == "newcomer":
		err = newcomer(ctx, arguments[1:], os.Stdin, os.Stdout)
	case len(arguments) > 0 && arguments[0] == "soak":
		err = soakMain(ctx, arguments[1:], os.Stdout)
	default:
		err = benchMain(ctx, arguments, os.Stdout)
	}
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// plan is what is to be measured.
type plan struct {
	earshotd string // the program
	out      string // directory for the results
	clients  []int
	most     int // clients of servers that are not ours
	servers  []string
	rounds   int // of what is short: newcomers, storms
	idle     int // clients of one idle coordinator; 0 leaves that out
	quiet    time.Duration
	// idleQuiet is quiet for the one idle coordinator.
	idleQuiet time.Duration
	patience  time.Duration // for one scenario
}

func benchMain(ctx context.Context, arguments []string, stdout io.Writer) error {
	p := plan{earshotd: "bin/earshotd", patience: 5 * time.Minute}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&p.earshotd, "earshotd", p.earshotd, "the coordinator's program")
	flags.StringVar(&p.out, "out", "dist/bench", "directory for the results")
	clients := flags.String("clients", "500,1000,2000,5000", "how many clients, one run for each number")
	servers := flags.String("servers", "", "only these, such as floor,secure,classic,inspircd; empty is all that are installed")
	flags.IntVar(&p.most, "peers-most", 2000, "the largest run of servers that are not ours")
	flags.IntVar(&p.rounds, "rounds", 10, "how often what is short is done")
	flags.IntVar(&p.idle, "idle", 0, "measure a coordinator with so many idle clients, too")
	flags.DurationVar(&p.idleQuiet, "idle-quiet", 150*time.Second, "the same for those of -idle; the coordinator's runtime does something each two minutes")
	flags.DurationVar(&p.quiet, "quiet", 10*time.Second, "how long idle clients are looked at")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	for word := range strings.SplitSeq(*clients, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 2 {
			return fmt.Errorf("-clients has %q, which is not a number of at least 2", word)
		}
		p.clients = append(p.clients, n)
	}
	if *servers != "" {
		p.servers = strings.Split(*servers, ",")
	}
	results, err := measure(ctx, p, stdout)
	return errors.Join(err, write(p.out, results)) // what was measured before something failed isn't lost
}

// processors are where the server runs, and where the clients do.
func processors() (server, clients []int) {
	all := runtime.NumCPU()
	if all == 1 {
		return []int{0}, []int{0}
	}
	for i := 1; i < all; i++ {
		clients = append(clients, i)
	}
	return []int{0}, clients
}

// measure runs the plan, and prints each result as it comes.
func measure(ctx context.Context, p plan, stdout io.Writer) ([]result, error) {
	onServer, onClients := processors()
	if err := load.Pin(onClients...); err != nil {
		return nil, err
	}
	// A classic client has a socket and, for a moment, a connection.
	if err := load.Files(uint64(max(2*(slices.Max(p.clients)+storm), p.idle) + 100)); err != nil {
		return nil, err
	}
	runtime.GOMAXPROCS(len(onClients))
	debug.SetGCPercent(800) // the clients have one processor for what thousands have in life, and memory enough
	dir, err := os.MkdirTemp("", "earshot-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var results []result
	note := func(r result) {
		fmt.Fprintln(stdout, r)
		results = append(results, r)
	}
	for _, s := range servers(p.earshotd, dir, onServer) {
		if len(p.servers) > 0 && !slices.Contains(p.servers, s.name) {
			continue
		}
		if why := s.missing(); why != "" {
			fmt.Fprintf(stdout, "%s is left out: %s\n", s.name, why)
			continue
		}
		for _, n := range p.clients {
			if !s.ours && n > p.most {
				continue
			}
			err := s.measure(ctx, n, p, note)
			if err != nil && s.ours || ctx.Err() != nil {
				return results, fmt.Errorf("%s with %d clients: %w", s.name, n, err)
			}
			if err != nil {
				fmt.Fprintf(stdout, "%s with %d clients was not measured to the end: %v\n", s.name, n, err)
			}
		}
		if s.name == "secure" && p.idle > 0 {
			if err := s.measureIdle(ctx, p, note); err != nil {
				return results, fmt.Errorf("%d idle clients: %w", p.idle, err)
			}
		}
	}
	return results, nil
}
