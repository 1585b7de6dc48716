// Package web is the coordinator's door for networks that let nothing but HTTPS
// out: a WebSocket, through which everything goes that otherwise comes to the
// main port.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"earshot/protocol/hostnet"
	"earshot/protocol/hostnet/webconn"
	"earshot/svc/limit"
	"earshot/svc/meter"
)

// ErrConfig is the family of settings that can't be used.
var ErrConfig = errors.New("this setting can't be used")

// Limits bound what anybody can make the server hold or do. A zero is the
// default. An address is an IP address, for IPv6 one /64; behind a NAT or a
// proxy a whole office has one.
type Limits struct {
	// MaxConnections is how many connections there may be. Default 20,000.
	MaxConnections int
	// MaxConnectionsPerAddress is the same for one address. Default 1,024.
	MaxConnectionsPerAddress int
	// MaxRequestsPerAddress is how many of one address's connections may not
	// be WebSockets yet. Default 128.
	MaxRequestsPerAddress int
	// ConnectionsPerSecondPerAddress bounds new ones; four seconds' worth may
	// come at once. Default 100.
	ConnectionsPerSecondPerAddress int
}

// Times of the server.
const (
	// requestTime is how long TLS and a request may take to come, each.
	requestTime = 10 * time.Second
	// idleTime is how long a connection may wait for a further request.
	idleTime = 15 * time.Second
	// endTime is how long those who serve connections may take to end them
	// when the server ends.
	endTime = 5 * time.Second
)

// maxHeader bounds a request's header, in bytes.
const maxHeader = 8 << 10

// Config is what a Server stands on. The server owns the listener once Run is
// called, and closes it.
type Config struct {
	Listener net.Listener
	// Certificate returns the coordinator's, as tls.Config.GetCertificate.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Serve takes a connection over, and returns when it has ended. RemoteAddr
	// is the address from which the WebSocket came, ctx is Run's.
	Serve  func(ctx context.Context, conn net.Conn)
	Limits Limits
	// Log is for what the administrator may want to know; nil logs nothing.
	Log *slog.Logger
	// Metrics registers the collectors; nil registers none.
	Metrics prometheus.Registerer
}

// Server answers on the web port. mu guards what stands below it.
type Server struct {
	cfg     Config
	http    *http.Server
	metrics *metrics
	open    sync.WaitGroup // connections, and what package http does with each

	mu       sync.Mutex
	closing  bool
	connects limit.Rate
	sources  map[netip.Addr]*source
	conns    map[*visitor]struct{}
}

// source is what one address has. Server.mu guards it.
type source struct{ conns, requests int }

// metrics are what an administrator can see.
type metrics struct {
	all meter.Set

	connections prometheus.Gauge
	sockets     prometheus.Gauge
	opened      prometheus.Counter
	dropped     *prometheus.CounterVec // by reason
}

func newMetrics() *metrics {
	m := new(metrics)
	m.connections = m.all.Gauge("earshot_web_connections", "Connections to the web port.")
	m.sockets = m.all.Gauge("earshot_web_sockets", "Those of them that are WebSockets.")
	m.opened = m.all.Counter("earshot_web_sockets_total", "WebSockets opened.")
	m.dropped = m.all.Vector("earshot_web_dropped_total", "Connections to the web port that were closed, and requests that were refused.", "reason")
	return m
}

func (m *metrics) drop(reason string) { m.dropped.WithLabelValues(reason).Inc() }

// New checks cfg and starts nothing. The error belongs to ErrConfig, or is that
// of a metric which is registered already.
func New(cfg Config) (*Server, error) {
	if err := limit.SetDefaults(ErrConfig,
		limit.Default{Name: "MaxConnections", Value: &cfg.Limits.MaxConnections, Fallback: 20_000},
		limit.Default{Name: "MaxConnectionsPerAddress", Value: &cfg.Limits.MaxConnectionsPerAddress, Fallback: 1024},
		limit.Default{Name: "MaxRequestsPerAddress", Value: &cfg.Limits.MaxRequestsPerAddress, Fallback: 128},
		limit.Default{Name: "ConnectionsPerSecondPerAddress", Value: &cfg.Limits.ConnectionsPerSecondPerAddress, Fallback: 100},
	); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, metrics: newMetrics(), sources: make(map[netip.Addr]*source), conns: make(map[*visitor]struct{}),
		connects: limit.NewRate(cfg.Limits.ConnectionsPerSecondPerAddress, 4*time.Second),
	}
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: requestTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      requestTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		Protocols:         new(http.Protocols),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, visitorKey{}, conn.(*tls.Conn).NetConn())
		},
	}
	s.http.Protocols.SetHTTP1(true)
	s.http.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			s.open.Done()
		case http.StateActive, http.StateIdle:
		}
	}
	return s, s.metrics.all.Register(cfg.Metrics)
}

// visitorKey is where a request's context has its connection.
type visitorKey struct{}

// Run serves until ctx ends, or somebody closes the listener. Then it closes
// that and all connections, and returns nil, within five seconds. It may be
// called once.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.http.Close() }) // leaves the WebSockets
	defer stop()
	err := s.http.Serve(tls.NewListener(door{s.cfg.Listener, s, ctx}, &tls.Config{
		GetCertificate: s.cfg.Certificate, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	}))
	_ = s.http.Close()
	s.cfg.Listener.Close()
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	hurry := time.AfterFunc(endTime, s.closeAll)
	s.open.Wait()
	hurry.Stop()
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Server) closeAll() {
	s.mu.Lock()
	var all []*visitor
	for v := range s.conns {
		all = append(all, v)
	}
	s.mu.Unlock()
	for _, v := range all {
		v.Close()
	}
}

// door is the listener behind the limits.
type door struct {
	net.Listener
	server *Server
	ctx    context.Context // Run's
}

// Accept implements net.Listener. It fails only once the listener is closed.
func (d door) Accept() (net.Conn, error) {
	for {
		conn, err := hostnet.Accept(d.ctx, d.Listener, d.server.cfg.Log)
		if err != nil {
			return nil, err
		}
		if v := d.server.admit(d.ctx, conn); v != nil {
			return v, nil
		}
		conn.Close()
	}
}

// visitor is a connection that counts.
type visitor struct {
	net.Conn
	server *Server
	ctx    context.Context // Run's
	from   netip.Addr      // as limits count

	// These belong to Server.mu.
	socket, closed bool
}

// admit counts a connection, or returns nil if its address has or does too
// much.
func (s *Server) admit(ctx context.Context, conn net.Conn) *visitor {
	from := limit.Host(hostnet.AddrPort(conn.RemoteAddr()).Addr())
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.sources[from]
	if at == nil {
		at = new(source)
	}
	reason := ""
	switch {
	case s.closing:
		reason = "ending"
	case !s.connects.Allow(from, time.Now()):
		reason = "rate"
	case len(s.conns) >= s.cfg.Limits.MaxConnections || at.conns >= s.cfg.Limits.MaxConnectionsPerAddress:
		reason = "too many connections"
	case at.requests >= s.cfg.Limits.MaxRequestsPerAddress:
		reason = "too many requests"
	}
	if reason != "" {
		s.metrics.drop(reason)
		return nil
	}
	s.sources[from] = at
	at.conns++
	at.requests++
	v := &visitor{Conn: conn, server: s, ctx: ctx, from: from}
	s.conns[v] = struct{}{}
	s.open.Add(1)
	s.metrics.connections.Inc()
	return v
}

// upgraded notes that a connection is a WebSocket from here on.
func (v *visitor) upgraded() {
	v.server.mu.Lock()
	defer v.server.mu.Unlock()
	if !v.closed {
		v.socket = true
		v.server.sources[v.from].requests--
	}
}

// Close implements net.Conn, and gives back the connection's share of the
// limits.
func (v *visitor) Close() error {
	s := v.server
	s.mu.Lock()
	first := !v.closed
	v.closed = true
	if first {
		delete(s.conns, v)
		at := s.sources[v.from]
		at.conns--
		if !v.socket {
			at.requests--
		}
		if at.conns == 0 {
			delete(s.sources, v.from)
		}
		s.metrics.connections.Dec()
	}
	s.mu.Unlock()
	err := v.Conn.Close()
	if first {
		s.open.Done()
	}
	return err
}

// page is what a person sees who comes with a browser.
const page = `This is Earshot's coordinator.

There is nothing to see here: people come online with the program earshot, which
has this computer as its server. It comes to this port where nothing else is let
out of a network.
`

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		plain(w)
		_, _ = io.WriteString(w, page)
	})
	mux.HandleFunc("GET "+webconn.Path, s.upgrade)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.refuse(w, http.StatusNotFound, "There is nothing here.")
	})
	return mux
}

func plain(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
}

func (s *Server) refuse(w http.ResponseWriter, status int, sentence string) {
	s.metrics.drop(http.StatusText(status))
	plain(w)
	w.Header().Set("Connection", "close")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, sentence+"\n")
}

// upgrade makes a WebSocket of a connection and has it served.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	s.open.Add(1)
	defer s.open.Done()
	v, ok := r.Context().Value(visitorKey{}).(*visitor)
	switch {
	case !ok:
		s.refuse(w, http.StatusInternalServerError, "The coordinator does not know where this comes from.")
		return
	case len(r.Header.Values("Origin")) > 0:
		// A browser always says which page asks. No page has a reason to.
		s.refuse(w, http.StatusForbidden, "This is not for web pages.")
		return
	case r.Header.Get("Upgrade") == "":
		w.Header().Set("Upgrade", "websocket")
		s.refuse(w, http.StatusUpgradeRequired, "Here is a WebSocket, for the program earshot.")
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil { // the client is told
		s.metrics.drop("no WebSocket")
		s.cfg.Log.Debug("a request for a WebSocket could not be served", "from", v.from, "error", err)
		return
	}
	v.upgraded()
	s.metrics.opened.Inc()
	s.metrics.sockets.Inc()
	defer s.metrics.sockets.Dec()
	conn := webconn.New(ws, v, v.RemoteAddr())
	defer conn.Close()
	s.cfg.Serve(v.ctx, conn)
}
