package portmap

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// natPMPRouter is a server by RFC 6886 on the loopback, where the library's own
// sockets reach it. change makes of an answer what it will.
type natPMPRouter struct {
	at   netip.Addr
	mu   sync.Mutex
	open map[uint16]uint32 // lifetimes by internal port
}

func serveNatPMP(t *testing.T, at string, change func(op byte, out []byte) []byte) *natPMPRouter {
	t.Helper()
	r := &natPMPRouter{at: netip.MustParseAddr(at), open: make(map[uint16]uint32)}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.at, 5351)))
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { conn.Close(); serving.Wait() })
	serving.Go(func() {
		b := make([]byte, 100)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if out := change(b[1], r.answer(b[:n])); out != nil {
				_, _ = conn.WriteToUDPAddrPort(out, from)
			}
		}
	})
	return r
}

func (r *natPMPRouter) answer(in []byte) []byte {
	if len(in) < 2 || in[0] != 0 {
		return []byte{0, in[1] | 0x80, 0, 1, 0, 0, 0, 9}
	}
	out := []byte{0, in[1] | 0x80, 0, 0, 0, 0, 0, 9}
	if in[1] == 0 {
		return append(out, 11, 0, 10, 10)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	port, d := binary.BigEndian.Uint16(in[4:]), min(binary.BigEndian.Uint32(in[8:]), 1800)
	if d == 0 {
		delete(r.open, port)
		return append(out, in[4], in[5], 0, 0, 0, 0, 0, 0)
	}
	r.open[port] = d
	out = append(out, in[4], in[5], 0x9c, 0xbe)
	return binary.BigEndian.AppendUint32(out, d)
}

func (r *natPMPRouter) mappings() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

func TestNATPMP(t *testing.T) {
	r := serveNatPMP(t, "127.53.51.1", func(_ byte, out []byte) []byte { return out })
	var running sync.WaitGroup
	defer running.Wait()
	p := &natPMP{&running}
	o, err := p.find(t.Context(), place{r.at, r.at})
	if err != nil || p.method() != NATPMP {
		t.Fatal(err)
	}
	g, err := o.open(t.Context(), localPort, localPort)
	if want := (grant{netip.MustParseAddrPort("11.0.10.10:40126"), 30 * time.Minute}); err != nil || g != want {
		t.Errorf("%v, %v", g, err)
	}
	if n := r.mappings(); n != 1 {
		t.Errorf("the router has %d mappings", n)
	}
	if err := o.close(t.Context(), localPort, g.external); err != nil || r.mappings() != 0 {
		t.Errorf("the router has %d mappings: %v", r.mappings(), err)
	}
	// PCP finds that this router doesn't speak it, at once.
	begun := time.Now()
	if _, err := newPCP(osNet).find(t.Context(), place{r.at, r.at}); ReasonOf(err) != ErrNoAnswer {
		t.Errorf("PCP: %v", err)
	}
	if took := time.Since(begun); took >= firstAnswer {
		t.Errorf("that took PCP %v", took)
	}
}

func TestNATPMPHostile(t *testing.T) {
	at := 2
	for name, c := range map[string]struct {
		change func(op byte, out []byte) []byte
		why    Reason
	}{
		"silent":         {func(byte, []byte) []byte { return nil }, ErrNoAnswer},
		"PCP only":       {func(op byte, _ []byte) []byte { return []byte{2, op | 0x80, 0, 1} }, ErrNoAnswer},
		"refuses":        {func(op byte, _ []byte) []byte { return []byte{0, op | 0x80, 0, 2, 0, 0, 0, 9} }, ErrRefused},
		"no resources":   {func(op byte, _ []byte) []byte { return []byte{0, op | 0x80, 0, 4, 0, 0, 0, 9} }, ErrRefused},
		"no Internet":    {func(op byte, _ []byte) []byte { return []byte{0, op | 0x80, 0, 3, 0, 0, 0, 9} }, ErrNoExternal},
		"empty":          {func(byte, []byte) []byte { return []byte{} }, ErrNoAnswer},
		"short":          {func(_ byte, out []byte) []byte { return out[:9] }, ErrNoAnswer},
		"another answer": {func(_ byte, out []byte) []byte { out[1]++; return out }, ErrNoAnswer},
		"another port": {func(op byte, out []byte) []byte {
			if op == 1 {
				out[9]++
			}
			return out
		}, ErrBadAnswer},
		"no lifetime": {func(op byte, out []byte) []byte {
			if op == 1 {
				clear(out[12:])
			}
			return out
		}, ErrBadAnswer},
		"private": {func(op byte, out []byte) []byte {
			if op == 0 {
				copy(out[8:], []byte{10, 0, 0, 1})
			}
			return out
		}, ErrDoubleNAT},
	} {
		address := netip.AddrFrom4([4]byte{127, 53, 51, byte(at)})
		at++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serveNatPMP(t, address.String(), c.change)
			m := New(Config{Net: osNet, Port: localPort, Outside: func() Outside { return Outside{} }})
			m.protocols = m.protocols[1:2]
			begun := time.Now()
			l, err := m.search(t.Context(), place{r.at, r.at}, publicAt)
			if l != nil || ReasonOf(err) != c.why {
				t.Errorf("%v, %v", l, err)
			}
			if took := time.Since(begun); took > natPMPWithin+openWithin+closeWithin {
				t.Errorf("it took %v", took)
			}
			m.library.Wait()
		})
	}
}

// Nobody waits for the library when it isn't wanted any more.
func TestNATPMPCancelled(t *testing.T) {
	r := serveNatPMP(t, "127.53.51.1", func(byte, []byte) []byte { return nil })
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begun := time.Now()
	if _, err := (&natPMP{&running}).find(ctx, place{r.at, r.at}); err == nil {
		t.Error("somebody answered")
	}
	if took := time.Since(begun); took > natPMPWithin/2 {
		t.Errorf("it took %v", took)
	}
	running.Wait()
	if took := time.Since(begun); took > 2*natPMPWithin {
		t.Errorf("the library took %v", took)
	}
}
