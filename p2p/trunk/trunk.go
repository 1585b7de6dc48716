// Package trunk is the way to the coordinator, for everything that needs a
// connection to it: plain TCP where the network lets it through, and otherwise
// a WebSocket, which looks like any other visit to a web page and goes through
// the HTTP proxy that the environment names.
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
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"earshot/p2p"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
)

// Way is how a connection reaches the coordinator.
type Way uint8

const (
	// TCP is a connection to the coordinator's main port.
	TCP Way = iota + 1
	// Web is a WebSocket.
	Web
)

// String is the word of p2p.Check for it.
func (w Way) String() string {
	switch w {
	case TCP:
		return "tcp"
	case Web:
		return "web"
	}
	return "unknown"
}

// DefaultWebPort is where the WebSocket is looked for.
const DefaultWebPort = 443

const (
	// headStart is how long the way that was good last time is alone.
	headStart = 3 * time.Second
	// addressHeadStart is the same for one address of a name (RFC 8305, 8).
	addressHeadStart = 250 * time.Millisecond
	// maxAddresses bounds those that are tried.
	maxAddresses  = 8
	lookupTime    = 10 * time.Second
	tcpTime       = 5 * time.Second
	handshakeTime = 10 * time.Second
	// webConnectTime bounds connecting to the web port or the proxy. It is
	// short so that a coordinator which isn't there is given up soon.
	webConnectTime = 4 * time.Second
	// webTime bounds the rest: proxy, TLS and the WebSocket's opening.
	webTime = 10 * time.Second
)

// Config is what New needs.
type Config struct {
	Net hostnet.Net
	// Host and Port are the coordinator's.
	Host string
	Port uint16
	// Resolve looks up the addresses of a host; nil asks the system.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// WebPort is that of the WebSocket; 443 if zero.
	WebPort uint16
	// Proxy returns the proxy for a request, or nil; nil asks the environment.
	Proxy func(*http.Request) (*url.URL, error)
}

// Trunk connects to one coordinator. It remembers by which way that went last,
// and begins with it. Its methods may be called from any goroutine.
type Trunk struct {
	cfg Config

	mu      sync.Mutex
	last    Way
	webPort uint16
}

// New starts nothing.
func New(cfg Config) *Trunk {
	if cfg.Resolve == nil {
		cfg.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if cfg.Proxy == nil {
		cfg.Proxy = http.ProxyFromEnvironment
	}
	if cfg.WebPort == 0 {
		cfg.WebPort = DefaultWebPort
	}
	return &Trunk{cfg: cfg, last: TCP, webPort: cfg.WebPort}
}

// SetWebPort says where the WebSocket is, as the coordinator has told; zero is
// where the configuration says.
func (t *Trunk) SetWebPort(port uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.webPort = port
	if port == 0 {
		t.webPort = t.cfg.WebPort
	}
}

// Forget says that the network may be another one: TCP is tried first again.
func (t *Trunk) Forget() { t.remember(TCP) }

func (t *Trunk) remember(w Way) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = w
}

func (t *Trunk) memory() (last Way, webPort uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last, t.webPort
}

// Dial connects by whichever way works. Nothing is known of who answers. The
// addresses of the connection are those of TCP; RemoteAddr is of no such kind
// if a proxy is between. The error belongs to p2p.ErrTransport.
func (t *Trunk) Dial(ctx context.Context) (net.Conn, Way, error) { return t.dial(ctx, nil) }

// DialTLS is Dial with a handshake on top. A way counts as working once that is
// done, since there are networks that let connections be made and then throw
// away what they don't know. config makes the configuration of one handshake, and
// is called for each, maybe from several goroutines; what its verification says of
// the other side is returned as it is, if it belongs to p2p.ErrTransport.
func (t *Trunk) DialTLS(ctx context.Context, config func() *tls.Config) (*tls.Conn, Way, error) {
	conn, way, err := t.dial(ctx, config)
	if err != nil {
		return nil, way, err
	}
	return conn.(*tls.Conn), way, nil
}

// errNotTried is a way that can't be better than the one before.
var errNotTried = errors.New("not tried")

func (t *Trunk) dial(ctx context.Context, config func() *tls.Config) (net.Conn, Way, error) {
	ways := []Way{TCP, Web}
	if last, _ := t.memory(); last == Web {
		ways = []Way{Web, TCP}
	}
	own := t.ownLookup()
	var plain atomic.Bool
	won, conn, errs := race(ctx, len(ways), headStart, func(ctx context.Context, i int, _ func()) (net.Conn, error) {
		if ways[i] == Web && plain.Load() {
			return nil, errNotTried
		}
		conn, err := t.by(ctx, ways[i], own, config)
		if record := (tls.RecordHeaderError{}); ways[i] == TCP && errors.As(err, &record) {
			plain.Store(true) // nothing is in the way, only another program is there
		}
		return conn, err
	})
	if conn == nil {
		if ways[0] == Web {
			errs[0], errs[1] = errs[1], errs[0]
		}
		return nil, 0, bothFailed(errs[0], errs[1])
	}
	t.remember(ways[won])
	return conn, ways[won], nil
}

// bothFailed is what is told where neither TCP nor the web leads anywhere. That
// there is no WebSocket is nothing that anybody wonders about.
func bothFailed(tcp, web error) error {
	var lookup lookupError
	switch {
	case tcp == nil: // ctx has ended before it began
		return web
	case web == nil, errors.Is(tcp, p2p.ErrIdentity), errors.Is(web, errNotTried), errors.Is(web, p2p.ErrUnreachable), errors.As(web, &lookup):
		return tcp
	case errors.Is(web, p2p.ErrIdentity):
		return web
	}
	return fmt.Errorf("%w (by the web: %s)", tcp, strings.TrimPrefix(web.Error(), p2p.ErrNoAnswer.Error()+": "))
}

// Try connects by one way and hangs up. Its error reads as a sentence, and
// belongs to p2p.ErrTransport.
func (t *Trunk) Try(ctx context.Context, way Way) error { return t.try(ctx, way, nil) }

// TryTLS is Try with DialTLS's handshake on top.
func (t *Trunk) TryTLS(ctx context.Context, way Way, config func() *tls.Config) error {
	return t.try(ctx, way, config)
}

func (t *Trunk) try(ctx context.Context, way Way, config func() *tls.Config) error {
	conn, err := t.by(ctx, way, t.ownLookup(), config)
	if err != nil {
		return sentence{err}
	}
	conn.Close()
	return nil
}

// by connects by one way, and once more by the same if all that is wrong is the
// ticket, which is then forgotten.
func (t *Trunk) by(ctx context.Context, way Way, own lookup, config func() *tls.Config) (net.Conn, error) {
	conn, err := t.once(ctx, way, own, config)
	if errors.Is(err, identity.ErrTicket) {
		return t.once(ctx, way, own, config)
	}
	return conn, err
}

func (t *Trunk) once(ctx context.Context, way Way, own lookup, config func() *tls.Config) (net.Conn, error) {
	if way == TCP {
		return t.tcp(ctx, own, config)
	}
	_, port := t.memory()
	conn, err := t.web(ctx, own, port)
	if err != nil {
		return nil, err
	}
	return shake(ctx, conn, config, net.JoinHostPort(t.cfg.Host, fmt.Sprint(port)))
}

// shake puts TLS on a connection, or closes it. at names the other side.
func shake(ctx context.Context, raw net.Conn, config func() *tls.Config, at string) (net.Conn, error) {
	if config == nil {
		return raw, nil
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	conn := tls.Client(raw, config())
	err := conn.HandshakeContext(ctx)
	if err == nil {
		return conn, nil
	}
	raw.Close()
	if errors.Is(err, p2p.ErrTransport) {
		return nil, err // what verification says is for the person
	}
	return nil, fmt.Errorf("%w: what answers at %s does not speak the secure protocol: %w", p2p.ErrNoAnswer, at, err)
}

// sentence is an error as a person reads it: without the names of its families.
type sentence struct{ error }

func (s sentence) Unwrap() error { return s.error }

func (s sentence) Error() string {
	text := s.error.Error()
	for _, family := range []error{p2p.ErrUnreachable, p2p.ErrNoAnswer, p2p.ErrIdentity, p2p.ErrTransport} {
		text = strings.TrimPrefix(text, family.Error()+": ")
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}
