package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"earshot/protocol/hostnet"
	"earshot/protocol/hostnet/webconn"
	"earshot/svc/control"
	"earshot/svc/web"
)

// DefaultWebPort is where clients look for the WebSocket that have never been
// told where it is.
const DefaultWebPort = 443

// checkWeb refuses a web port that can't be.
func checkWeb(cfg Config) error {
	if cfg.WebListen.IsValid() && cfg.clashes(cfg.WebListen) {
		return fmt.Errorf("%w: web_listen names port %d, which is one of the coordinator's own three; choose another one, such as %d",
			ErrConfig, cfg.WebListen.Port(), DefaultWebPort)
	}
	return nil
}

// clashes says whether an address is one of those that listen stands for.
func (cfg Config) clashes(at netip.AddrPort) bool {
	first := cfg.Listen
	return first.Port() != 0 && at.Port() >= first.Port() && at.Port() <= first.Port()+2 &&
		(first.Addr() == at.Addr() || first.Addr().IsUnspecified() || at.Addr().IsUnspecified())
}

// openWeb opens the web port, if there is to be one.
func (s *sockets) openWeb(ctx context.Context, network hostnet.Net, at netip.AddrPort) error {
	if !at.IsValid() {
		return nil
	}
	l, err := network.Listen(ctx, at)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: another program has TCP port %d of %s. End it, or choose another port (--web-listen, or off); "+
			"a web server that has port 443 can pass on what comes for %s (%w)", ErrPortTaken, at.Port(), at.Addr(), webconn.Path, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: this account may not open TCP port %d of %s. The service may, and so may root; "+
			"or choose a port above 1023 (--web-listen) (%w)", ErrConfig, at.Port(), at.Addr(), err)
	case err != nil:
		return explain(err, at, "TCP")
	}
	s.web = l
	return nil
}

// newWeb makes the server of the web port, or none.
func (c *Coordinator) newWeb(s *sockets, secure *control.Server) (*web.Server, error) {
	if s.web == nil {
		return nil, nil
	}
	l := c.secureLimits()
	return web.New(web.Config{
		Listener: s.web, Certificate: c.cfg.Certificate, Serve: secure.Take,
		Limits: web.Limits{
			MaxConnections: l.MaxConnections, MaxConnectionsPerAddress: l.MaxConnectionsPerAddress,
			ConnectionsPerSecondPerAddress: l.LoginsPerSecondPerAddress,
		},
		Log: c.cfg.Log, Metrics: c.cfg.Metrics,
	})
}
