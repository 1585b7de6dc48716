package relay

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	wire "earshot/protocol/relay"
	"earshot/svc/meter"
)

// metrics are what an administrator can see.
type metrics struct {
	all meter.Set

	connections prometheus.Gauge
	packets     prometheus.Counter
	bytes       prometheus.Counter
	ended       *prometheus.CounterVec // by reason
	// Packets that were dropped, by reason.
	unwanted, rate, quota, slow prometheus.Counter
}

func newMetrics() *metrics {
	m := new(metrics)
	m.connections = m.all.Gauge("earshot_relay_connections", "Devices that are connected to the relay.")
	m.packets = m.all.Counter("earshot_relay_packets_total", "Packets that the relay has forwarded.")
	m.bytes = m.all.Counter("earshot_relay_bytes_total", "Bytes of packets that the relay has forwarded.")
	dropped := m.all.Vector("earshot_relay_dropped_total", "Packets that the relay has dropped.", "reason")
	m.unwanted = dropped.WithLabelValues("not asked for")
	m.rate = dropped.WithLabelValues("rate")
	m.quota = dropped.WithLabelValues("quota")
	m.slow = dropped.WithLabelValues("slow receiver")
	m.ended = m.all.Vector("earshot_relay_ended_total", "Connections that the relay has ended, or that broke.", "reason")
	return m
}

func (m *metrics) end(cause error) {
	reason := "network"
	switch {
	case errors.Is(cause, ErrFull):
		reason = "too many"
	case errors.Is(cause, ErrReplaced):
		reason = "replaced"
	case errors.Is(cause, ErrForgotten):
		reason = "removed"
	case errors.Is(cause, ErrSilent):
		reason = "silent"
	case errors.Is(cause, ErrSlow):
		reason = "slow"
	case errors.Is(cause, ErrFlood):
		reason = "flood"
	case errors.Is(cause, wire.ErrFrame):
		reason = "malformed"
	}
	m.ended.WithLabelValues(reason).Inc()
}
