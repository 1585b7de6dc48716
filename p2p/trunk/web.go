package trunk

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"

	"github.com/coder/websocket"

	"earshot/p2p"
	"earshot/protocol/hostnet/webconn"
)

// web opens a WebSocket at the coordinator's web port, through the proxy if
// there is one.
func (t *Trunk) web(ctx context.Context, own lookup, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, webConnectTime+webTime)
	defer cancel()
	v := &visit{trunk: t, ctx: ctx, own: own, at: net.JoinHostPort(t.cfg.Host, strconv.Itoa(int(port)))}
	target := &url.URL{Scheme: "https", Host: v.at, Path: webconn.Path}
	var err error
	if v.proxy, err = t.cfg.Proxy(&http.Request{Method: http.MethodGet, URL: target, Host: v.at}); err != nil {
		return nil, fmt.Errorf("%w: the environment's proxy can't be used: %w", p2p.ErrNoAnswer, err)
	}
	transport := v.transport()
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // it would lead away from the coordinator
	}}
	ws, answer, err := websocket.Dial(ctx, target.String(), &websocket.DialOptions{HTTPClient: client}) //nolint:bodyclose // ws has it, or nobody
	if err != nil {
		return nil, v.explain(answer, err)
	}
	raw := v.keep()
	if raw == nil { // ctx has ended just now
		_ = ws.CloseNow()
		return nil, fmt.Errorf("%w: %w", p2p.ErrTransport, context.Cause(ctx))
	}
	remote := raw.RemoteAddr()
	if v.proxy != nil {
		remote = beyond{v.at}
	}
	return webconn.New(ws, raw, remote), nil
}

// beyond is an address beyond a proxy, of which only the name is known.
type beyond struct{ at string }

func (beyond) Network() string  { return "tcp" }
func (b beyond) String() string { return b.at }

// visit is the opening of one WebSocket. Whatever package http has begun for
// it ends with ctx, unless keep says otherwise.
type visit struct {
	trunk *Trunk
	ctx   context.Context // package http's dialling has another one, which outlives the request
	own   lookup
	at    string   // the web port
	proxy *url.URL // nil for none

	mu   sync.Mutex
	raw  net.Conn
	stop func() bool // keeps raw from being closed when ctx ends
}

func (v *visit) transport() *http.Transport {
	// Nobody is verified here: the TLS that runs inside proves who the
	// coordinator is, and tells nothing to anybody else. This one is there
	// because the networks that it is for let nothing else out, and some of
	// them open it and look inside.
	outer := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if net.ParseIP(v.trunk.cfg.Host) == nil {
		outer.ServerName = v.trunk.cfg.Host
	}
	t := &http.Transport{
		DialContext:            func(_ context.Context, _, address string) (net.Conn, error) { return v.dial(address) },
		TLSClientConfig:        outer,
		Protocols:              new(http.Protocols),
		TLSHandshakeTimeout:    webTime,
		ResponseHeaderTimeout:  webTime,
		MaxResponseHeaderBytes: 16 << 10,
		DisableKeepAlives:      true,
		DisableCompression:     true,
	}
	t.Protocols.SetHTTP1(true)
	if v.proxy == nil {
		return t
	}
	t.Proxy = http.ProxyURL(v.proxy)
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
		return v.judge(answer)
	}
	if v.proxy.Scheme == "https" {
		// The proxy is told a password, so this one has to prove itself.
		t.DialTLSContext = func(_ context.Context, _, address string) (net.Conn, error) {
			raw, err := v.dial(address)
			if err != nil {
				return nil, err
			}
			conn := tls.Client(raw, &tls.Config{ServerName: v.proxy.Hostname(), MinVersion: tls.VersionTLS12})
			return conn, conn.HandshakeContext(v.ctx)
		}
	}
	return t
}

// dial connects to the web port or to the proxy.
func (v *visit) dial(address string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, err
	}
	find := v.own
	if v.proxy != nil {
		find = func(ctx context.Context) ([]netip.Addr, error) { return v.trunk.lookup(ctx, host) }
	}
	addrs, err := find(v.ctx)
	if err != nil {
		return nil, err
	}
	raw, err := v.trunk.connect(v.ctx, addrs, uint16(port), webConnectTime,
		func(_ context.Context, raw net.Conn, _ string) (net.Conn, error) { return raw, nil })
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.raw, v.stop = raw, context.AfterFunc(v.ctx, func() { raw.Close() })
	return raw, nil
}

// keep returns the connection below the WebSocket, which lives on; nil if it is
// too late for that.
func (v *visit) keep() net.Conn {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.raw == nil || !v.stop() {
		return nil
	}
	return v.raw
}

// refusedByProxy is what a proxy says that doesn't let the connection out.
type refusedByProxy struct{ text string }

func (e refusedByProxy) Error() string { return e.text }

// judge reads a proxy's answer.
func (v *visit) judge(answer *http.Response) error {
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusProxyAuthRequired:
		if v.proxy.User == nil {
			return refusedByProxy{fmt.Sprintf("the proxy %s wants a name and a password; put them into HTTPS_PROXY, as in http://name:password@%s", v.proxy.Host, v.proxy.Host)}
		}
		return refusedByProxy{fmt.Sprintf("the proxy %s does not take the name and the password that HTTPS_PROXY holds", v.proxy.Host)}
	}
	return refusedByProxy{fmt.Sprintf("the proxy %s does not let a connection to %s out (%s)", v.proxy.Host, v.at, answer.Status)}
}

// explain says why there is no WebSocket. Only where nothing listens is it
// p2p.ErrUnreachable.
func (v *visit) explain(answer *http.Response, err error) error {
	if refused, ok := errors.AsType[refusedByProxy](err); ok {
		return fmt.Errorf("%w: %w", p2p.ErrNoAnswer, refused)
	}
	v.mu.Lock()
	connected := v.raw != nil
	v.mu.Unlock()
	switch {
	case answer != nil:
		return fmt.Errorf("%w: what answers at %s is no coordinator's web port (HTTP status %d)", p2p.ErrNoAnswer, v.at, answer.StatusCode)
	case v.proxy != nil && !connected:
		return fmt.Errorf("%w: the proxy %s, which the environment names, can't be reached", p2p.ErrNoAnswer, v.proxy.Host)
	case v.proxy != nil:
		return fmt.Errorf("%w: there is no way to %s through the proxy %s: %w", p2p.ErrNoAnswer, v.at, v.proxy.Host, err)
	case !connected:
		if lookup, ok := errors.AsType[lookupError](err); ok {
			return lookup
		}
		return fmt.Errorf("%w: nothing answers at %s: %w", p2p.ErrUnreachable, v.at, below(err))
	}
	return fmt.Errorf("%w: what answers at %s is no coordinator's web port: %w", p2p.ErrNoAnswer, v.at, err)
}

// below is the network's own part of an error.
func below(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	return err
}
