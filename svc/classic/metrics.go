package classic

import (
	"github.com/prometheus/client_golang/prometheus"

	wire "earshot/protocol/classic"
	"earshot/svc/meter"
)

// metrics are what an administrator can see. The arrays are indexed by encoding
// and framing.
type metrics struct {
	all meter.Set

	online     [3]prometheus.Gauge
	logins     [3]prometheus.Counter
	lists      [2]prometheus.Counter
	logouts    *prometheus.CounterVec // by reason, as the next three
	refused    *prometheus.CounterVec
	dropped    *prometheus.CounterVec
	sendErrors *prometheus.CounterVec
	received   prometheus.Counter
	sent       prometheus.Counter
	delivered  prometheus.Counter
}

func newMetrics() *metrics {
	m := new(metrics)
	online := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "earshot_users_online", Help: "Users online.",
	}, []string{"dialect"})
	m.all = append(m.all, online)
	logins := m.all.Vector("earshot_logins_total", "Logins that came to be: list fetched, others told.", "dialect")
	lists := m.all.Vector("earshot_lists_served_total", "Lists of users written.", "framing")
	for e := range m.online {
		m.online[e] = online.WithLabelValues(wire.Encoding(e).String())
		m.logins[e] = logins.WithLabelValues(wire.Encoding(e).String())
	}
	m.lists[wire.RawText] = lists.WithLabelValues("raw")
	m.lists[wire.DotNet] = lists.WithLabelValues("dotnet")
	m.logouts = m.all.Vector("earshot_logouts_total", "Users who left.", "reason")
	m.refused = m.all.Vector("earshot_logins_refused_total", "Logins refused.", "reason")
	m.dropped = m.all.Vector("earshot_dropped_total", "Datagrams and connections that were ignored.", "reason")
	m.sendErrors = m.all.Vector("earshot_send_errors_total", "Datagrams that could not be sent.", "reason")
	m.received = m.all.Counter("earshot_datagrams_received_total", "Datagrams received.")
	m.sent = m.all.Counter("earshot_datagrams_sent_total", "Datagrams sent.")
	m.delivered = m.all.Counter("earshot_changes_delivered_total", "Changes of the roster sent, one for each receiver.")
	return m
}

func (m *metrics) drop(reason string) { m.dropped.WithLabelValues(reason).Inc() }
