package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/term"

	"earshot/svc/admin"
	"earshot/svc/config"
	"earshot/svc/coordinator"
	"earshot/svc/engine"
	"earshot/svc/osservice"
)

// runCommand runs the coordinator until a signal or the service manager ends
// it.
func runCommand(args []string, _ io.Writer) error {
	p, err := parse("run", args)
	if err != nil {
		return err
	}
	if err := p.located(p.PrepareData()); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return serve(ctx, p, func() (parsed, error) { return parse("run", args) })
}

// serve runs the coordinator as p says; again reads the configuration anew.
func serve(ctx context.Context, p parsed, again func() (parsed, error)) error {
	defer collectByGrowth()()
	level := new(slog.LevelVar)
	level.Set(p.level)
	log := newLog(level)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	var coord *coordinator.Coordinator
	accounts, err := engine.Open(ctx, engine.Config{Dir: p.Data, Log: log, OnChange: func(before, after engine.Account) {
		coord.AccountChanged(before, after) // changes come once it is made
	}})
	if err != nil {
		return err
	}
	defer accounts.Close()
	desk := &backend{accounts: accounts, log: log,
		certificates: &certificates{file: p.Certificate, keyFile: p.CertificateKey, key: accounts.Key, log: log}}

	var onReady func()
	c := p.coordinator
	c.Log, c.Metrics = log, registry
	if p.Secure {
		c.Accounts, c.Registration, c.Certificate = accounts, p.policy, desk.certificates.get
		c.Tickets = accounts.TicketSecrets
	}
	var serving atomic.Bool
	c.OnReady = func() { desk.sayLink(); serving.Store(true); onReady() }
	if coord, err = coordinator.New(c); err != nil {
		return err
	}
	desk.reloading = reloading{read: again, log: log, held: p, apply: func(p parsed) {
		level.Set(p.level)
		desk.certificates.use(p.Certificate, p.CertificateKey)
		coord.SetRegistration(p.policy)
	}}
	health, err := listenMetrics(p, log)
	if err != nil {
		return err
	}
	run := func(ctx context.Context, ready func()) error {
		onReady = ready
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var web sync.WaitGroup
		defer web.Wait()
		if health != nil {
			// A disk that is full is for a person to mend: the watchdog, which
			// would restart the coordinator, doesn't ask for it.
			lives := func(ctx context.Context) error {
				if !serving.Load() { // it opens its ports, which is no reason to restart it
					return nil
				}
				return coord.Healthy(ctx)
			}
			serves := func(ctx context.Context) error { return errors.Join(coord.Healthy(ctx), accounts.Err()) }
			web.Go(func() { serveMetrics(ctx, health, lives, serves, registry, log) })
		}
		defer cancel()
		door, err := admin.Listen(p.Data)
		if err != nil {
			return err
		}
		web.Go(func() {
			if err := admin.Serve(ctx, door, desk); err != nil {
				log.Error("commands for the running coordinator are not answered any more", "error", err)
			}
		})
		web.Go(func() { desk.reloading.onHangup(ctx) })
		return coord.Run(ctx)
	}
	return osservice.Serve(ctx, run, coord.Healthy)
}

func newLog(level slog.Leveler) *slog.Logger {
	return logTo(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())), osservice.Logs(os.Stderr), level)
}

// logTo is text for a person at a terminal, and JSON for everything else. by is where
// lines go that the system's log takes by their gravity, if it does.
func logTo(w io.Writer, terminal bool, by map[slog.Level]io.Writer, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	switch {
	case terminal:
		return slog.New(slog.NewTextHandler(w, options))
	case by != nil:
		return slog.New(newGraded(by, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// listenMetrics opens the port for health and metrics; nil if they are off. The
// default port being taken, by a second coordinator perhaps, is no reason not
// to serve people.
func listenMetrics(p parsed, log *slog.Logger) (net.Listener, error) {
	at := p.metrics
	if !at.IsValid() {
		return nil, nil
	}
	l, err := net.Listen("tcp", at.String())
	if err == nil {
		return l, nil
	}
	if errors.Is(err, syscall.EADDRINUSE) && p.MetricsListen == config.DefaultMetricsListen {
		log.Warn("health and metrics are not served: another program has their port", "address", at)
		return nil, nil
	}
	return nil, fmt.Errorf("%w: health and metrics can't be served on %v; name another address with --metrics-listen, or off (%w)", config.ErrConfig, at, err)
}

// serveMetrics answers who watches the coordinator. /livez is not well where a
// restart would help; /healthz, and /readyz by another name, wherever people are
// not served as they should be.
func serveMetrics(ctx context.Context, l net.Listener, lives, serves func(context.Context) error, registry *prometheus.Registry, log *slog.Logger) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	for path, well := range map[string]func(context.Context) error{"/livez": lives, "/readyz": serves, "/healthz": serves} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if err := well(r.Context()); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			_, _ = io.WriteString(w, "ok\n")
		})
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.Error("health and metrics ended", "error", err)
	}
}
