package hostnet_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"earshot/protocol/hostnet"
)

// tired is a listener whose Accept fails some times first.
type tired struct {
	net.Listener
	fails int
}

func (l *tired) Accept() (net.Conn, error) {
	if l.fails > 0 {
		l.fails--
		return nil, syscall.EMFILE
	}
	return l.Listener.Accept()
}

// A want of descriptors passes; a closed listener, or an end, doesn't.
func TestAccept(t *testing.T) {
	simTest(t, func(b bed, _ *hostnet.Sim) {
		log := slog.New(slog.DiscardHandler)
		inner := b.listen(b.a, netip.AddrPortFrom(hostOne, 0))
		go func() {
			if c, err := b.b.Dial(b.Context(), hostnet.AddrPort(inner.Addr())); err == nil {
				c.Close()
			}
		}()
		began := time.Now()
		conn, err := hostnet.Accept(b.Context(), &tired{inner, 3}, log)
		if err != nil || time.Since(began) < 100*time.Millisecond {
			b.Fatalf("%v after %v", err, time.Since(began))
		}
		conn.Close()
		ctx, cancel := context.WithCancel(b.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := hostnet.Accept(ctx, &tired{inner, 1000}, log); !errors.Is(err, net.ErrClosed) {
			b.Errorf("after the end: %v", err)
		}
		inner.Close()
		if _, err := hostnet.Accept(b.Context(), inner, log); !errors.Is(err, net.ErrClosed) {
			b.Errorf("a closed listener: %v", err)
		}
	})
}
