package trunk

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/p2p/trunk/trunktest"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
)

// Through a proxy, with a password and without, and to a name that only the
// proxy knows.
func TestProxy(t *testing.T) {
	for _, host := range []string{"chat.example", "hidden.example"} {
		for _, c := range []struct{ user, password, at string }{
			{"", "", "http://10.0.0.3:3128"},
			{"", "", "http://proxy.example:3128"},
			{"ann", "p@ss:word/1", "http://ann:p%40ss%3Aword%2F1@proxy.example:3128"},
		} {
			inBed(t, func(b *bed) {
				proxy := b.proxy(&trunktest.Proxy{User: c.user, Password: c.password}, c.at)
				b.cfg.Host = host
				b.web()
				conn := b.reaches(Web, 60*latency)
				if asked := proxy.Asked(); !slices.Equal(asked, []string{host + ":443"}) {
					t.Errorf("the proxy is asked for %q", asked)
				}
				// Nobody may take the proxy's address for the coordinator's.
				if at := hostnet.AddrPort(conn.RemoteAddr()); at.IsValid() || conn.RemoteAddr().String() != host+":443" {
					t.Errorf("it leads to %v", conn.RemoteAddr())
				}
				for _, at := range b.filter.tried {
					if at == webAt {
						t.Error("it goes round the proxy")
					}
				}
			})
		}
	}
}

// A proxy that doesn't want to says so, and what can be done.
func TestProxyRefuses(t *testing.T) {
	for _, c := range []struct {
		user   string
		refuse int
		at     string
		parts  []string
	}{
		{"ann", 0, "http://10.0.0.3:3128", []string{"wants a name and a password", "HTTPS_PROXY"}},
		{"ann", 0, "http://ann:secret@10.0.0.3:3128", []string{"does not take the name and the password"}},
		{"", http.StatusForbidden, "http://10.0.0.3:3128", []string{"does not let a connection to chat.example:443 out", "403"}},
		{"", 0, "http://10.0.0.3:3129", []string{"The proxy 10.0.0.3:3129", "can't be reached"}},
		{"", 0, "http://elsewhere.example:3128", []string{"can't be reached"}},
	} {
		inBed(t, func(b *bed) {
			b.proxy(&trunktest.Proxy{User: c.user, Password: "x", Refuse: c.refuse}, c.at)
			b.web()
			err := b.use().Try(b.Context(), Web)
			reads(t, err, c.parts...)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q has the password", err)
			}
			// It is told beside what is wrong with TCP.
			if err := b.fails(20 * time.Second); !errors.Is(err, p2p.ErrUnreachable) || !strings.Contains(err.Error(), "by the web: ") {
				t.Error(err)
			}
		})
	}
	inBed(t, func(b *bed) { // the coordinator is away
		b.proxy(new(trunktest.Proxy), "http://10.0.0.3:3128")
		reads(t, b.use().Try(b.Context(), Web), "does not let", "502")
	})
}

// A password goes only to a proxy that has proved itself, where that is asked
// for.
func TestForgedProxy(t *testing.T) {
	inBed(t, func(b *bed) {
		p := b.proxy(new(trunktest.Proxy), "https://ann:secret@proxy.example:3130")
		l := b.listen(proxyAtTLS)
		served := make(chan int, 1)
		go func() {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			defer raw.Close()
			conn := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{identity.NewKey().Certificate()}})
			heard, _ := io.ReadAll(conn)
			served <- len(heard)
		}()
		b.closing(func() { l.Close() })
		reads(t, b.use().Try(b.Context(), Web), "proxy.example:3130")
		if n := <-served; n != 0 || len(p.Asked()) != 0 {
			t.Errorf("the forged proxy was told %d bytes", n)
		}
	})
}

// Where the web port sends elsewhere, nobody follows.
func TestRedirect(t *testing.T) {
	inBed(t, func(b *bed) {
		l := b.listen(webAt)
		server := &http.Server{Handler: http.RedirectHandler("https://10.0.0.3:443/", http.StatusFound), ReadHeaderTimeout: time.Second}
		ended := make(chan error)
		go func() {
			ended <- server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{theirKey.Certificate()}}))
		}()
		reads(t, b.use().Try(b.Context(), Web), "is no coordinator's web port", "302")
		for _, at := range b.filter.tried {
			if at.Addr() == middle {
				t.Error("it follows")
			}
		}
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
