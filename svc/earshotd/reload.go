package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"

	"earshot/svc/admin"
)

// reloading is the configuration of a running coordinator.
type reloading struct {
	read  func() (parsed, error)
	apply func(parsed)
	log   *slog.Logger

	turn sync.Mutex // held during a reload
	mu   sync.Mutex
	held parsed // guarded by mu
}

// live are the keys that take effect without a restart. The others are sockets,
// limits by which memory was made, and what people who are online were told.
var live = []string{"log_level", "registration", "public_host", "certificate", "certificate_key"}

// now is what holds.
func (r *reloading) now() parsed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

// reload reads the configuration and puts into effect what can be. One that
// can't be used changes nothing.
func (r *reloading) reload() (admin.Reloaded, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	next, err := r.read()
	if err != nil {
		r.log.Error("the configuration can't be used, and what held before goes on", "error", err)
		return admin.Reloaded{}, err
	}
	held := r.now()
	done := admin.Reloaded{Changed: []string{}, Waiting: []string{}}
	for _, key := range differences(held, next) {
		if slices.Contains(live, key) {
			done.Changed = append(done.Changed, key)
		} else {
			done.Waiting = append(done.Waiting, key)
		}
	}
	held.LogLevel, held.level = next.LogLevel, next.level
	held.Registration, held.policy = next.Registration, next.policy
	held.PublicHost = next.PublicHost
	held.Certificate, held.CertificateKey = next.Certificate, next.CertificateKey
	r.apply(held)
	r.mu.Lock()
	r.held = held
	r.mu.Unlock()
	r.log.Info("the configuration was read anew", "changed", done.Changed, "at_the_next_start", done.Waiting)
	return done, nil
}

// differences are the keys whose values are others.
func differences(a, b parsed) (keys []string) {
	x, y := reflect.ValueOf(a.Config), reflect.ValueOf(b.Config)
	for i := range x.NumField() {
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			keys = append(keys, x.Type().Field(i).Tag.Get("toml"))
		}
	}
	return keys
}

// onHangup reloads at each SIGHUP, on systems that have it, until ctx ends.
func (r *reloading) onHangup(ctx context.Context) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			_, _ = r.reload() // it is in the log
		}
	}
}

// Reload implements admin.Backend.
func (b *backend) Reload(context.Context) (admin.Reloaded, error) {
	done, err := b.reloading.reload()
	return done, told(err)
}

// reload asks the running coordinator to read its configuration.
func reload(ctx context.Context, q *question) error {
	done, err := q.Reload(ctx)
	if err != nil {
		return err
	}
	changed := "Nothing that was in effect has changed."
	if len(done.Changed) > 0 {
		changed = "In effect now: " + strings.Join(done.Changed, ", ") + "."
	}
	if len(done.Waiting) > 0 {
		changed += " At the next start: " + strings.Join(done.Waiting, ", ") + "; `earshotd restart` does that, and logs everyone out for a moment."
	}
	_, err = fmt.Fprintln(q.out, changed)
	return err
}
