// Package meter makes the collectors of one part of the coordinator, and
// registers them together.
package meter

import "github.com/prometheus/client_golang/prometheus"

// Set are collectors that belong together. Its zero value is empty.
type Set []prometheus.Collector

// Gauge adds a gauge.
func (s *Set) Gauge(name, help string) prometheus.Gauge {
	return add(s, prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help}))
}

// Counter adds a counter.
func (s *Set) Counter(name, help string) prometheus.Counter {
	return add(s, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
}

// Vector adds counters that a label tells apart.
func (s *Set) Vector(name, help, label string) *prometheus.CounterVec {
	return add(s, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label}))
}

func add[C prometheus.Collector](s *Set, c C) C {
	*s = append(*s, c)
	return c
}

// Register registers all of them; nil registers none.
func (s *Set) Register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range *s {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}
