package trunk

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"earshot/p2p"
	"earshot/p2p/trunk/trunktest"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	theirs  = netip.MustParseAddr("10.0.0.1")
	ours    = netip.MustParseAddr("10.0.0.2")
	middle  = netip.MustParseAddr("10.0.0.3") // the proxy's
	nobody  = netip.MustParseAddr("10.0.0.99")
	mainAt  = netip.AddrPortFrom(theirs, 13277)
	webAt   = netip.AddrPortFrom(theirs, 443)
	proxyAt = netip.AddrPortFrom(middle, 3128)

	proxyAtTLS = netip.AddrPortFrom(middle, 3130)

	theirKey, ourKey = identity.NewKey(), identity.NewKey()
)

const latency = 5 * time.Millisecond

// bed is a network with a coordinator, a proxy and a trunk to be.
type bed struct {
	*testing.T
	sim    *hostnet.Sim
	cfg    Config
	trunk  *Trunk // made from cfg by the first use
	filter *filter
	closes []func()
}

// filter is a host's network on which some ports are as good as dead.
type filter struct {
	hostnet.Net
	mu    sync.Mutex
	drop  map[netip.AddrPort]bool
	tried []netip.AddrPort
	when  []time.Time
}

func (f *filter) Dial(ctx context.Context, at netip.AddrPort) (net.Conn, error) {
	f.mu.Lock()
	f.tried, f.when = append(f.tried, at), append(f.when, time.Now())
	drop := f.drop[at]
	f.mu.Unlock()
	if drop {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(at), Err: ctx.Err()}
	}
	return f.Net.Dial(ctx, at)
}

// inBed runs a test in fake time.
func inBed(t *testing.T, test func(*bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		sim.Latency(latency)
		b := &bed{T: t, sim: sim, filter: &filter{Net: sim.Host(ours), drop: make(map[netip.AddrPort]bool)}}
		sim.Host(theirs)
		sim.Host(middle)
		b.cfg = Config{
			Net: b.filter, Host: "chat.example", Port: mainAt.Port(),
			Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
				switch host {
				case "chat.example":
					return []netip.Addr{theirs}, nil
				case "proxy.example":
					return []netip.Addr{middle}, nil
				}
				return nil, errors.New("no such host")
			},
			Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
		}
		test(b)
		for i := range b.closes {
			b.closes[len(b.closes)-1-i]()
		}
		time.Sleep(time.Minute) // whatever has yet to end, ends
	})
}

func (b *bed) closing(f func()) { b.closes = append(b.closes, f) }

// serve has connections to a listener served by echo within TLS, as a
// coordinator with this key.
func (b *bed) serve(l net.Listener, key identity.Key) {
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				conn := tls.Server(raw, identity.ServerTLS(key.Certificate(), identity.ALPNControl, nil))
				_, _ = io.Copy(conn, conn)
				raw.Close()
			})
		}
	})
	b.closing(func() { l.Close(); serving.Wait() })
}

func (b *bed) listen(at netip.AddrPort) net.Listener {
	b.Helper()
	l, err := b.sim.Host(at.Addr()).Listen(b.Context(), at)
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// main opens the coordinator's main port, and web its web port.
func (b *bed) main() { b.Helper(); b.serve(b.listen(mainAt), theirKey) }
func (b *bed) web()  { b.Helper(); b.serve(b.front(webAt), theirKey) }

func (b *bed) front(at netip.AddrPort) net.Listener {
	b.Helper()
	// Its certificate is nobody's: the one within counts.
	return trunktest.NewFront(b.listen(at), identity.NewKey().Certificate())
}

// proxy opens a proxy, through which the trunk has to go.
func (b *bed) proxy(p *trunktest.Proxy, at string) *trunktest.Proxy {
	b.Helper()
	to, err := url.Parse(at)
	if err != nil {
		b.Fatal(err)
	}
	b.cfg.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme != "https" {
			b.Errorf("the proxy is for %v", r.URL)
		}
		return to, nil
	}
	p.Dial = func(at string) (net.Conn, error) {
		if at != "chat.example:443" && at != "hidden.example:443" {
			return nil, errors.New("no such host")
		}
		return b.sim.Host(middle).Dial(context.Background(), webAt)
	}
	p.Serve(b.listen(proxyAt))
	b.closing(p.Close)
	return p
}

func (b *bed) use() *Trunk {
	if b.trunk == nil {
		b.trunk = New(b.cfg)
	}
	return b.trunk
}

var errStranger = fmt.Errorf("%w: a stranger", p2p.ErrIdentity)

func config() *tls.Config {
	config := identity.ClientTLS(ourKey.Certificate(), identity.ALPNControl, nil)
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if identity.Fingerprint(state.PeerCertificates[0]) != theirKey.Public().ID() {
			return errStranger
		}
		return nil
	}
	return config
}

// reaches connects, within a time, and sees that it is the coordinator.
func (b *bed) reaches(way Way, within time.Duration) *tls.Conn {
	b.Helper()
	began := time.Now()
	conn, got, err := b.use().DialTLS(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	if took := time.Since(began); got != way || took > within {
		b.Errorf("it goes by %v after %v, not by %v within %v", got, took, way, within)
	}
	if _, err := io.WriteString(conn, "hello"); err != nil {
		b.Fatal(err)
	}
	hello := make([]byte, 5)
	if _, err := io.ReadFull(conn, hello); err != nil || string(hello) != "hello" {
		b.Fatalf("%q comes back: %v", hello, err)
	}
	if at := hostnet.AddrPort(conn.LocalAddr()); at.Addr() != ours {
		b.Errorf("it says that it comes from %v", conn.LocalAddr())
	}
	b.closing(func() { conn.NetConn().Close() })
	return conn
}

// fails connects in vain, and returns why.
func (b *bed) fails(within time.Duration) error {
	b.Helper()
	began := time.Now()
	conn, way, err := b.use().DialTLS(b.Context(), config)
	if err == nil {
		conn.NetConn().Close()
		b.Fatalf("it goes by %v", way)
	}
	if took := time.Since(began); took > within || !errors.Is(err, p2p.ErrTransport) {
		b.Errorf("after %v: %v", took, err)
	}
	return err
}
