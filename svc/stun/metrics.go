package stun

import (
	"github.com/prometheus/client_golang/prometheus"

	"earshot/svc/meter"
)

// metrics are what an administrator can see.
type metrics struct {
	all meter.Set

	received   prometheus.Counter
	answered   prometheus.Counter
	seen       prometheus.Counter
	sendErrors prometheus.Counter
	dropped    *prometheus.CounterVec // by reason
}

func newMetrics() *metrics {
	m := new(metrics)
	m.received = m.all.Counter("earshot_stun_received_total", "Datagrams taken for STUN.")
	m.answered = m.all.Counter("earshot_stun_answered_total", "STUN requests answered.")
	m.seen = m.all.Counter("earshot_stun_seen_total", "STUN requests that showed where a device is.")
	m.sendErrors = m.all.Counter("earshot_stun_send_errors_total", "STUN answers that could not be sent.")
	m.dropped = m.all.Vector("earshot_stun_dropped_total", "STUN datagrams that were ignored.", "reason")
	return m
}

func (m *metrics) drop(reason string) { m.dropped.WithLabelValues(reason).Inc() }
