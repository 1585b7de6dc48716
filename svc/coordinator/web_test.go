package coordinator

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
	"syscall"
	"testing"
	"time"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/svc/control"
	"earshot/svc/engine"
)

// noAccounts is a coordinator at which nobody has registered.
type noAccounts struct{ control.Accounts }

func (noAccounts) Lookup(string) (engine.Account, bool)              { return engine.Account{}, false }
func (noAccounts) OwnerOf(identity.PublicKey) (engine.Account, bool) { return engine.Account{}, false }

// secured is cfg with the secure protocol.
func secured(cfg Config) Config {
	certificate := identity.NewKey().Certificate()
	cfg.Accounts = noAccounts{}
	cfg.Certificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil }
	return cfg
}

// The web port is served beside the others, and is nowhere unless asked for.
func TestWebPort(t *testing.T) {
	if at := run(t, secured(Config{Listen: loopback})).Addrs().Web; at.IsValid() {
		t.Errorf("nobody asked for a web port, and it is %v", at)
	}
	c := run(t, secured(Config{Listen: loopback, WebListen: loopback}))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	answer, err := client.Get("https://" + c.Addrs().Web.String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || !strings.HasPrefix(string(body), "This is Earshot's coordinator.") {
		t.Errorf("it shows %q, %v", body, err)
	}

	second, err := New(secured(Config{Listen: loopback, WebListen: c.Addrs().Web}))
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); !errors.Is(err, ErrPortTaken) || !strings.Contains(err.Error(), "--web-listen") {
		t.Errorf("with its web port taken Run returned %v", err)
	}
	// All that it had opened is closed again.
	if err := run(t, Config{Listen: loopback}).Healthy(t.Context()); err != nil {
		t.Error(err)
	}
}

// The web port is none of the coordinator's own.
func TestWebPortClashes(t *testing.T) {
	for text, clashes := range map[string]bool{
		"127.0.0.1:13276": false, "127.0.0.1:13277": true, "127.0.0.1:13279": true, "127.0.0.1:13280": false,
		"127.0.0.2:13278": false, "0.0.0.0:13278": true, "127.0.0.1:443": false,
	} {
		_, err := New(secured(Config{Listen: netip.MustParseAddrPort("127.0.0.1:13277"), WebListen: netip.MustParseAddrPort(text)}))
		if errors.Is(err, ErrConfig) != clashes {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// denied is a network on which ports below 1024 are not for everybody.
type denied struct{ hostnet.Net }

func (n denied) Listen(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	if at.Port() == DefaultWebPort {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(at), Err: os.NewSyscallError("bind", syscall.EACCES)}
	}
	return n.Net.Listen(ctx, at)
}

// Who may not have the port learns what to do.
func TestWebPortDenied(t *testing.T) {
	c, err := New(secured(Config{Listen: loopback, WebListen: netip.AddrPortFrom(loopback.Addr(), DefaultWebPort), Net: denied{hostnet.OS}}))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "may not open TCP port 443") {
		t.Errorf("Run returned %v", err)
	}
}
