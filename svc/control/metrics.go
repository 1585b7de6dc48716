package control

import "github.com/prometheus/client_golang/prometheus"

// metrics are what an administrator can see.
type metrics struct {
	collectors []prometheus.Collector

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
	m.connections = m.gauge("earshot_secure_connections", "Connections of the secure protocol, those of strangers too.")
	m.devices = m.gauge("earshot_secure_devices_online", "Devices online.")
	m.logins = m.counter("earshot_secure_logins_total", "Devices that logged in.")
	m.resumed = m.counter("earshot_secure_resumed_total", "Logins that needed only what they had missed of the roster.")
	m.snapshots = m.counter("earshot_secure_snapshots_total", "Whole rosters written.")
	m.delivered = m.counter("earshot_secure_changes_delivered_total", "Changes of the roster sent, one for each receiver.")
	m.introductions = m.counter("earshot_secure_introductions_total", "Introductions of one device to another.")
	m.refused = m.vector("earshot_secure_logins_refused_total", "Logins refused.")
	m.ended = m.vector("earshot_secure_ended_total", "Devices that left.")
	m.dropped = m.vector("earshot_secure_dropped_total", "Connections and frames that were ignored.")
	return m
}

func (m *metrics) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	m.collectors = append(m.collectors, g)
	return g
}

func (m *metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.collectors = append(m.collectors, c)
	return c
}

func (m *metrics) vector(name, help string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"reason"})
	m.collectors = append(m.collectors, v)
	return v
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range m.collectors {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) drop(reason string) { m.dropped.WithLabelValues(reason).Inc() }
