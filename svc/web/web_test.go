package web

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"earshot/protocol/hostnet"
)

const upgrade = "GET /earshot HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n" +
	"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"

// What a browser, a curious person or a scanner sees.
func TestRequests(t *testing.T) {
	inBed(t, func(b *bed) {
		for _, c := range []struct {
			request string
			status  int
			says    string
		}{
			{"GET / HTTP/1.1\nHost: x\n\n", 200, "This is Earshot's coordinator."},
			{"POST / HTTP/1.1\nHost: x\nContent-Length: 1\n\nx", 404, "nothing here"},
			{"GET /index.html HTTP/1.1\nHost: x\n\n", 404, "nothing here"},
			{"GET /earshot/ HTTP/1.1\nHost: x\n\n", 404, "nothing here"},
			{"GET /earshot HTTP/1.1\nHost: x\n\n", 426, "WebSocket"},
			{"POST /earshot HTTP/1.1\nHost: x\nContent-Length: 0\n\n", 404, ""},
			{upgrade + "\n", 101, ""},
			{upgrade + "Origin: https://x\n\n", 403, "web pages"},
			{upgrade + "Origin:\n\n", 403, "web pages"},
			{upgrade + "origin: null\n\n", 403, "web pages"},
			{strings.Replace(upgrade, "13", "12", 1) + "\n", 400, ""},
			{"GET / HTTP/1.1\nHost: x\nLong: " + strings.Repeat("x", 2*maxHeader) + "\n\n", 431, ""},
			{"nonsense\n\n", 400, ""},
		} {
			status, body := b.ask(c.request)
			if status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("%.60q is answered %d, %q", c.request, status, body)
			}
		}
		if b.metric("earshot_web_sockets_total") != 1 || b.metric("earshot_web_dropped_total") != 9 {
			t.Errorf("%v opened, %v dropped", b.metric("earshot_web_sockets_total"), b.metric("earshot_web_dropped_total"))
		}
	})
}

// Bytes go through as on any connection, whatever their number.
func TestPipe(t *testing.T) {
	inBed(t, func(b *bed) {
		conn, raw := b.mustOpen()
		if from := <-b.served; from != hostnet.AddrPort(raw.LocalAddr()) {
			t.Errorf("it came from %v, and the server says %v", raw.LocalAddr(), from)
		}
		for _, n := range []int{1, 125, 126, 65_535, 65_536, 1 << 20} {
			go func() { _, _ = io.WriteString(conn, strings.Repeat("x", n)) }()
			got, err := io.ReadFull(conn, make([]byte, n))
			if err != nil {
				t.Fatalf("%d bytes of %d: %v", got, n, err)
			}
		}
		time.Sleep(time.Hour) // the protocol within has its own idea of silence
		b.echoes(conn, "still there")
		if b.metric("earshot_web_connections") != 1 || b.metric("earshot_web_sockets") != 1 {
			t.Error("the metrics don't count it")
		}
		conn.Close()
		synctest.Wait()
		time.Sleep(time.Second)
		if b.metric("earshot_web_connections") != 0 || b.metric("earshot_web_sockets") != 0 || len(b.server.sources) != 0 {
			t.Error("its end is not counted")
		}
	})
}

// Deadlines end what waits, and say so; between two messages nothing is lost.
func TestDeadlines(t *testing.T) {
	inBed(t, func(b *bed) {
		conn, _ := b.mustOpen()
		for range 3 {
			began := time.Now()
			_ = conn.SetReadDeadline(began.Add(time.Minute))
			_, err := conn.Read(make([]byte, 1))
			if op, ok := errors.AsType[*net.OpError](err); !ok || !op.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
				t.Fatalf("after %v: %v", time.Since(began), err)
			}
			_ = conn.SetReadDeadline(time.Time{})
			b.echoes(conn, "and goes on")
		}
		// One who waits is interrupted by a deadline that comes later, or by the
		// end.
		for _, interrupt := range []func(){
			func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) },
			func() { conn.Close() },
		} {
			_ = conn.SetReadDeadline(time.Time{})
			failed := make(chan error)
			go func() { _, err := conn.Read(make([]byte, 1)); failed <- err }()
			synctest.Wait()
			interrupt()
			if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}
		if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after its end it writes: %v", err)
		}
		if err := conn.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("it is closed twice: %v", err)
		}
	})
}

// Whoever doesn't read is not waited for, neither by Write nor by Close.
func TestPeerThatDoesNotRead(t *testing.T) {
	inBed(t, func(b *bed) {
		conn, _ := b.mustOpen()
		_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
		var err error
		for err == nil {
			_, err = conn.Write(make([]byte, 10_000))
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		began := time.Now()
		conn.Close()
		if took := time.Since(began); took > 0 {
			t.Errorf("closing took %v", took)
		}
	}, func(c *Config) {
		c.Serve = func(_ context.Context, conn net.Conn) { time.Sleep(5 * time.Minute); conn.Close() }
	})
}

// The end of one side is the end of the stream at the other.
func TestEnds(t *testing.T) {
	inBed(t, func(b *bed) {
		for name, end := range map[string]func(net.Conn){
			"closed":   func(conn net.Conn) { conn.Close() },
			"farewell": func(net.Conn) {},
		} {
			conn, raw := b.mustOpen()
			got, err := io.ReadAll(conn)
			if string(got) != "last words" || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			end(conn)
			raw.Close()
		}
	}, func(c *Config) {
		c.Serve = func(_ context.Context, conn net.Conn) { _, _ = io.WriteString(conn, "last words") }
	})
}

// A message of text is no message here.
func TestText(t *testing.T) {
	var failed chan error
	inBed(t, func(b *bed) {
		ws, raw, err := b.openSocket()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ws.CloseNow() }()
		defer raw.Close()
		if err := ws.Write(context.Background(), websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "only bytes") {
			t.Errorf("of text it is said: %v", err)
		}
	}, func(c *Config) {
		failed = make(chan error, 1) // in the bubble
		c.Serve = func(_ context.Context, conn net.Conn) {
			_, err := conn.Read(make([]byte, 10))
			failed <- err
		}
	})
}

// A connection that takes its time with TLS or its request is closed, and holds
// only its own share meanwhile.
func TestSlowLoris(t *testing.T) {
	const most = 8
	inBed(t, func(b *bed) {
		var slow []net.Conn
		for i := range most {
			raw, err := b.net.Dial(b.Context(), b.at)
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			switch i % 3 {
			case 0: // says nothing
			case 1: // begins with TLS
				_, _ = raw.Write([]byte{22, 3, 1})
			case 2: // a byte of its request a second
				conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
				if err := conn.Handshake(); err != nil {
					t.Fatal(err)
				}
				go func() {
					for {
						if _, err := conn.Write([]byte("G")); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				}()
			}
			slow = append(slow, raw)
		}
		synctest.Wait()
		if _, _, err := b.open(); err == nil {
			t.Error("one address may have any number of requests begun")
		}
		for _, raw := range slow {
			b.closed(raw, 2*requestTime+time.Second)
		}
		time.Sleep(time.Second)
		if n := b.metric("earshot_web_connections"); n != 0 {
			t.Errorf("%v connections are left", n)
		}
		conn, _ := b.mustOpen()
		b.echoes(conn, "now it goes")
	}, func(c *Config) { c.Limits.MaxRequestsPerAddress = most })
}

// One address has a number of connections and a rate; another has its own.
func TestLimits(t *testing.T) {
	inBed(t, func(b *bed) {
		var open []net.Conn
		for range 3 {
			conn, _ := b.mustOpen()
			open = append(open, conn)
		}
		if _, _, err := b.open(); err == nil {
			t.Error("a fourth connection is taken")
		}
		open[0].Close()
		time.Sleep(time.Second)
		conn, _ := b.mustOpen()
		b.echoes(conn, "in its place")
	}, func(c *Config) { c.Limits.MaxConnectionsPerAddress = 3 })

	inBed(t, func(b *bed) {
		refused := 0
		for range 50 {
			conn, _, err := b.open()
			if err != nil {
				refused++
				continue
			}
			conn.Close()
		}
		if refused == 0 {
			t.Error("there is no rate")
		}
		time.Sleep(time.Minute)
		b.mustOpen()
	}, func(c *Config) { c.Limits.ConnectionsPerSecondPerAddress = 2 })
	if _, err := New(Config{Limits: Limits{MaxConnections: -1}}); !errors.Is(err, ErrConfig) {
		t.Errorf("a negative limit: %v", err)
	}
}

// The end waits for those who serve, and not for ever.
func TestEnd(t *testing.T) {
	inBed(t, func(b *bed) {
		conn, _ := b.mustOpen()
		idle := b.dial()
		raw, err := b.net.Dial(b.Context(), b.at)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		began := time.Now()
		b.stop()
		if took := time.Since(began); took > endTime {
			t.Errorf("the end took %v", took)
		}
		for _, c := range []net.Conn{conn, idle, raw} {
			b.closed(c, time.Second)
		}
		if _, err := b.net.Dial(b.Context(), b.at); err == nil {
			t.Error("the port is still open")
		}
	})
}

// On the operating system's network, with package http's own client as browser.
func TestReal(t *testing.T) {
	b := serve(t, hostnet.OS, hostnet.OS, netip.MustParseAddrPort("127.0.0.1:0"))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+b.at.String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || string(body) != page || answer.Proto != "HTTP/1.1" {
		t.Errorf("%s, %q, %v", answer.Proto, body, err)
	}
	conn, raw := b.mustOpen()
	if from := <-b.served; from != hostnet.AddrPort(raw.LocalAddr()) {
		t.Errorf("it came from %v, and the server says %v", raw.LocalAddr(), from)
	}
	go func() { _, _ = conn.Write(make([]byte, 1<<20)) }()
	if n, err := io.ReadFull(conn, make([]byte, 1<<20)); err != nil {
		t.Errorf("%d bytes came back: %v", n, err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
