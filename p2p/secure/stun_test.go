package secure

import (
	"net"
	"net/netip"
	"testing"

	"github.com/pion/stun/v3"

	"earshot/p2p/nat"
	"earshot/protocol/hostnet"
)

// stunPorts are those of a coordinator that answers STUN.
var stunPorts = []uint32{13277, 13278}

// answerSTUN answers binding requests until conn is closed: with where they come
// from, or as from another host.
func answerSTUN(conn net.PacketConn, as netip.Addr) {
	b := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		request := &stun.Message{Raw: append([]byte(nil), b[:n]...)}
		if request.Decode() != nil || request.Type != stun.BindingRequest {
			continue
		}
		at := hostnet.AddrPort(from)
		if as.IsValid() {
			at = netip.AddrPortFrom(as, at.Port())
		}
		answer, err := stun.Build(request, stun.BindingSuccess,
			&stun.XORMappedAddress{IP: at.Addr().AsSlice(), Port: int(at.Port())}, stun.Fingerprint)
		if err == nil {
			_, _ = conn.WriteTo(answer.Raw, from)
		}
	}
}

// newAsker is one that has asked nobody.
func newAsker(t *testing.T) *nat.Asker {
	t.Helper()
	return nat.New(nat.Config{
		Write:   func([]byte, netip.AddrPort, int) error { return net.ErrClosed },
		Servers: func() []netip.AddrPort { return nil }, Token: func() string { return "" },
		Local: func() []netip.AddrPort { return nil },
	})
}
