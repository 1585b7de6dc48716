package hostnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"earshot/protocol/hostnet"
)

func stream(b bed) {
	near, far := b.pair()
	for _, a := range []net.Addr{near.LocalAddr(), near.RemoteAddr(), far.LocalAddr(), far.RemoteAddr()} {
		if _, ok := a.(*net.TCPAddr); !ok {
			b.Fatalf("an address is a %T", a)
		}
	}
	if hostnet.AddrPort(near.LocalAddr()) != hostnet.AddrPort(far.RemoteAddr()) ||
		hostnet.AddrPort(far.LocalAddr()) != hostnet.AddrPort(near.RemoteAddr()) {
		b.Fatalf("ends disagree: %v-%v, %v-%v", near.LocalAddr(), near.RemoteAddr(), far.LocalAddr(), far.RemoteAddr())
	}
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		_, err := io.WriteString(way[0], "ping")
		b.ok(err)
		buf := make([]byte, 4)
		_, err = io.ReadFull(way[1], buf)
		b.ok(err)
		if string(buf) != "ping" {
			b.Fatalf("read %q", buf)
		}
	}
}

func closeAfterWrite(b bed) {
	near, far := b.pair()
	_, err := io.WriteString(far, "last words")
	b.ok(err)
	b.ok(far.Close())
	got, err := io.ReadAll(near)
	b.ok(err)
	if string(got) != "last words" {
		b.Fatalf("read %q", got)
	}
}

func largeStream(b bed) {
	near, far := b.pair()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := far.Write(sent); err != nil {
			b.Error(err)
		}
		far.Close()
	})
	got, err := io.ReadAll(near)
	wg.Wait()
	b.ok(err)
	if !bytes.Equal(got, sent) {
		b.Fatalf("%d bytes arrived of %d", len(got), len(sent))
	}
}

func nobodyListens(b bed) {
	l := b.listen(b.b, netip.AddrPortFrom(b.bAddr, 0))
	b.ok(l.Close())
	_, err := b.a.Dial(b.Context(), hostnet.AddrPort(l.Addr()))
	b.is(err, syscall.ECONNREFUSED)
}

func cancelledDial(b bed) {
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	l := b.listen(b.b, netip.AddrPortFrom(b.bAddr, 0))
	c, err := b.a.Dial(ctx, hostnet.AddrPort(l.Addr()))
	b.is(err, context.Canceled)
	if c != nil {
		b.Fatal("a connection came with the error")
	}
}

func writeToClosed(b bed) {
	near, far := b.pair()
	b.ok(far.Close())
	for range 100 {
		if _, err := near.Write([]byte("anyone?")); err != nil {
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				b.Fatal(err)
			}
			return
		}
		turn := time.NewTimer(time.Millisecond)
		<-turn.C
	}
	b.Fatal("writing to a closed end never failed")
}

func reuse(b bed) {
	near, far := b.pair()
	at := hostnet.AddrPort(far.LocalAddr())
	again, err := b.b.Listen(b.Context(), at)
	if err == nil {
		again.Close()
		b.Fatal("the port was free while the listener was open")
	}
	near.Close()
	c := b.packets(b.b, netip.AddrPortFrom(b.bAddr, 0))
	b.ok(c.Close())
	b.packets(b.b, hostnet.AddrPort(c.LocalAddr()))
}
