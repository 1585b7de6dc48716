package web

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"earshot/protocol/hostnet"
	"earshot/protocol/hostnet/webconn"
	"earshot/protocol/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	theirs = netip.MustParseAddr("10.0.0.1")
	ours   = netip.MustParseAddr("10.0.0.2")
)

// bed is a server that echoes, and what it has served.
type bed struct {
	testing.TB
	net      hostnet.Net
	at       netip.AddrPort
	server   *Server
	registry *prometheus.Registry
	served   chan netip.AddrPort // where each WebSocket came from
	stop     func()
}

// serve runs a server on a network until the test ends.
func serve(t testing.TB, host, client hostnet.Net, at netip.AddrPort, configure ...func(*Config)) *bed {
	t.Helper()
	l, err := host.Listen(context.Background(), at)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{TB: t, net: client, at: hostnet.AddrPort(l.Addr()), registry: prometheus.NewRegistry(), served: make(chan netip.AddrPort, 100)}
	certificate := identity.NewKey().Certificate()
	cfg := Config{
		Listener: l, Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
		Serve: func(_ context.Context, conn net.Conn) {
			b.served <- hostnet.AddrPort(conn.RemoteAddr())
			_, _ = io.Copy(conn, conn)
			conn.Close()
		},
		Metrics: b.registry, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range configure {
		c(&cfg)
	}
	if b.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.server.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(b.stop)
	return b
}

// inBed runs a test in fake time, with the server on another host.
func inBed(t *testing.T, test func(*bed), configure ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		sim.Latency(5 * time.Millisecond)
		b := serve(t, sim.Host(theirs), sim.Host(ours), netip.AddrPortFrom(theirs, 443), configure...)
		test(b)
		b.stop()
	})
}

// dial opens TLS to the server.
func (b *bed) dial() *tls.Conn {
	b.Helper()
	raw, err := b.net.Dial(context.Background(), b.at)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { raw.Close() })
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		b.Fatal(err)
	}
	return conn
}

// ask makes one request by hand.
func (b *bed) ask(request string) (status int, body string) {
	b.Helper()
	conn := b.dial()
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		b.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return answer.StatusCode, "" // what follows is no text
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// openSocket opens a WebSocket, and returns it with the connection below.
func (b *bed) openSocket() (ws *websocket.Conn, raw net.Conn, err error) {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var err error
			raw, err = b.net.Dial(ctx, b.at)
			return raw, err
		},
	}
	defer transport.CloseIdleConnections()
	options := &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}}
	ws, _, err = websocket.Dial(context.Background(), fmt.Sprintf("wss://%v%s", b.at, webconn.Path), options) //nolint:bodyclose // ws has it
	return ws, raw, err
}

func (b *bed) open() (conn, raw net.Conn, err error) {
	ws, raw, err := b.openSocket()
	if err != nil {
		return nil, nil, err
	}
	conn = webconn.New(ws, raw, raw.RemoteAddr())
	b.Cleanup(func() { conn.Close() })
	return conn, raw, nil
}

func (b *bed) mustOpen() (conn, raw net.Conn) {
	b.Helper()
	conn, raw, err := b.open()
	if err != nil {
		b.Fatal(err)
	}
	return conn, raw
}

// echoes says that bytes come back.
func (b *bed) echoes(conn net.Conn, text string) {
	b.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		b.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		b.Fatalf("%d bytes come back wrong: %v", len(text), err)
	}
}

// closed says that the server closes a connection within a time.
func (b *bed) closed(conn net.Conn, within time.Duration) {
	b.Helper()
	began := time.Now()
	_ = conn.SetReadDeadline(began.Add(within))
	_, err := io.Copy(io.Discard, conn)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		b.Fatalf("it is still open after %v", within)
	}
}

// metric is a metric's value, all labels together.
func (b *bed) metric(name string) (sum float64) {
	b.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
