package control

import (
	"github.com/prometheus/client_golang/prometheus"

	"earshot/svc/meter"
)

// metrics are what an administrator can see.
type metrics struct {
	all meter.Set

	connections   prometheus.Gauge
	devices       prometheus.Gauge
	logins        prometheus.Counter
	resumed       prometheus.Counter
	snapshots     prometheus.Counter
	delivered     prometheus.Counter
	introductions prometheus.Counter
	refused       *prometheus.CounterVec // by reason, as the next two
	ended         *prometheus.CounterVec
	dropped       *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := new(metrics)
	m.connections = m.all.Gauge("earshot_secure_connections", "Connections of the secure protocol, those of strangers too.")
	m.devices = m.all.Gauge("earshot_secure_devices_online", "Devices online.")
	m.logins = m.all.Counter("earshot_secure_logins_total", "Devices that logged in.")
	m.resumed = m.all.Counter("earshot_secure_resumed_total", "Logins that needed only what they had missed of the roster.")
	m.snapshots = m.all.Counter("earshot_secure_snapshots_total", "Whole rosters written.")
	m.delivered = m.all.Counter("earshot_secure_changes_delivered_total", "Changes of the roster sent, one for each receiver.")
	m.introductions = m.all.Counter("earshot_secure_introductions_total", "Introductions of one device to another.")
	m.refused = m.all.Vector("earshot_secure_logins_refused_total", "Logins refused.", "reason")
	m.ended = m.all.Vector("earshot_secure_ended_total", "Devices that left.", "reason")
	m.dropped = m.all.Vector("earshot_secure_dropped_total", "Connections and frames that were ignored.", "reason")
	return m
}

func (m *metrics) drop(reason string) { m.dropped.WithLabelValues(reason).Inc() }
