package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"earshot/p2p/trunk/trunktest"
	"earshot/tray/chat"
)

// startWebCoordinator starts a coordinator that has a web port, too.
func startWebCoordinator(t *testing.T) (c *coordinator, web netip.AddrPort) {
	t.Helper()
	web = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePorts(t, 1))
	return startCoordinatorWith(t, "EARSHOT_WEB_LISTEN="+web.String()), web
}

// waitSockets waits until so many WebSockets are open at the coordinator.
func (c *coordinator) waitSockets(t *testing.T, n int) {
	t.Helper()
	var last string
	eventually(t, fmt.Sprintf("%d WebSockets are open", n), func() bool {
		answer, err := http.Get("http://" + c.metrics.String() + "/metrics")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "earshot_web_sockets ") {
				last = strings.TrimSpace(line)
			}
		}
		return last == fmt.Sprint("earshot_web_sockets ", n)
	})
}

// talk has two people write to each other.
func talk(t *testing.T, ann, bo *client, about string) {
	t.Helper()
	ann.waitOnline(t, bo.name, true)
	bo.waitOnline(t, ann.name, true)
	ann.must(t, "send", bo.name, "hello "+about)
	bo.waitMessage(t, ann.name, "hello "+about)
	bo.must(t, "send", ann.name, "welcome "+about)
	ann.waitMessage(t, bo.name, "welcome "+about)
	ann.waitState(t, bo.name, "hello "+about, "delivered", inState(chat.Delivered))
}

// Whose network lets nothing out but what goes through an HTTP proxy, which
// wants a password, comes online and talks. Not even the coordinator's name can
// be looked up there: names of that kind are asked of nobody (RFC 7686).
func TestThroughTheProxy(t *testing.T) {
	c, web := startWebCoordinator(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &trunktest.Proxy{User: "ann", Password: "s3cret/", Dial: func(string) (net.Conn, error) {
		return net.Dial("tcp", web.String())
	}}
	proxy.Serve(l)
	t.Cleanup(proxy.Close)

	bo := startClient(t, c, "Bo", "auto")
	ann := newClient(t, c, "Ann")
	ann.server = "coordinator.onion"
	ann.env = append(ann.env, "HTTPS_PROXY=http://ann:s3cret%2F@"+l.Addr().String(), "NO_PROXY=", "no_proxy=")
	ann.start(t)
	if s := ann.status(t); !s.Secure {
		t.Errorf("the status is %+v", s)
	}
	talk(t, ann, bo, "through the proxy")
	asked := proxy.Asked()
	slices.Sort(asked)
	if asked = slices.Compact(asked); !slices.Equal(asked, []string{"coordinator.onion:443"}) {
		t.Errorf("the proxy is asked for %q", asked)
	}

	// The coordinator comes back, and so does she.
	ann.mark()
	c.kill()
	ann.wait(t, "the loss of the coordinator", isConnection(chat.Offline))
	ann.mark()
	c.start(t)
	ann.wait(t, "the coordinator's return", isConnection(chat.Online))
	talk(t, ann, bo, "again")
}

// forwarder is a way to a TCP port that can be closed.
type forwarder struct {
	net.Listener
	running sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

func forward(t *testing.T, to netip.AddrPort) *forwarder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{Listener: l}
	f.running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to.String())
			if err != nil {
				near.Close()
				continue
			}
			f.mu.Lock()
			f.conns = append(f.conns, near, far)
			f.mu.Unlock()
			f.running.Go(func() { _, _ = io.Copy(near, far); near.Close() })
			f.running.Go(func() { _, _ = io.Copy(far, near); far.Close() })
		}
	})
	t.Cleanup(f.shut)
	return f
}

// shut closes the port, and what went through it.
func (f *forwarder) shut() {
	f.Close()
	f.mu.Lock()
	for _, conn := range f.conns {
		conn.Close()
	}
	f.mu.Unlock()
	f.running.Wait()
}

// Who has once been told where the WebSocket is, finds it when the main port is
// closed to them, whatever its number.
func TestMainPortCloses(t *testing.T) {
	c, _ := startWebCoordinator(t)
	bo := startClient(t, c, "Bo", "auto")
	main := forward(t, c.addr)
	ann := newClient(t, c, "Ann")
	ann.server = main.Addr().String()
	ann.start(t)
	talk(t, ann, bo, "by the main port")
	c.waitSockets(t, 0)
	ann.mark()
	main.shut()
	ann.wait(t, "the main port's loss", isConnection(chat.Offline))
	ann.wait(t, "the way round it", isConnection(chat.Online))
	ann.waitOnline(t, "Bo", true)
	c.waitSockets(t, 1) // Ann
	talk(t, ann, bo, "by the web")
	if s := ann.status(t); !s.Secure {
		t.Errorf("the status is %+v", s)
	}
}
