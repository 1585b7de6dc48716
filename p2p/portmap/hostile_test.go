package portmap

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"encoding/binary"
	"net"
)

// pcpAnswers is a router that says yes to ANNOUNCE, and to MAP what change makes
// of a good answer.
func pcpAnswers(change func(out []byte) [][]byte) func(*router) {
	return func(r *router) {
		r.datagram = func(in []byte) [][]byte {
			out := bytes.Clone(in)
			out[1] |= pcpResponse
			if in[1] != pcpMap {
				return [][]byte{out}
			}
			external := publicAt.As16()
			copy(out[44:], external[:])
			return change(out)
		}
	}
}

// A router that lies about PCP gets nobody to believe in a mapping, nor to ask
// it all the time.
func TestHostilePCP(t *testing.T) {
	one := func(change func(out []byte)) func(*router) {
		return pcpAnswers(func(out []byte) [][]byte { change(out); return [][]byte{out} })
	}
	for name, c := range map[string]struct {
		router func(*router)
		why    Reason
	}{
		"another's nonce":    {one(func(out []byte) { out[24]++ }), ErrNoAnswer},
		"another port":       {one(func(out []byte) { out[41]++ }), ErrNoAnswer},
		"TCP":                {one(func(out []byte) { out[36] = 6 }), ErrNoAnswer},
		"another operation":  {one(func(out []byte) { out[1] = pcpResponse | 2 }), ErrNoAnswer},
		"no lifetime":        {one(func(out []byte) { binary.BigEndian.PutUint32(out[4:], 0) }), ErrBadAnswer},
		"no port":            {one(func(out []byte) { out[42], out[43] = 0, 0 }), ErrBadAnswer},
		"no address":         {one(func(out []byte) { clear(out[56:60]) }), ErrNoExternal},
		"IPv6":               {one(func(out []byte) { out[44] = 0x20 }), ErrNoExternal},
		"loopback":           {one(func(out []byte) { copy(out[56:], []byte{127, 0, 0, 1}) }), ErrDoubleNAT},
		"the host itself":    {one(func(out []byte) { copy(out[56:], []byte{192, 168, 1, 10}) }), ErrDoubleNAT},
		"a broadcast":        {one(func(out []byte) { copy(out[56:], []byte{255, 255, 255, 255}) }), ErrDoubleNAT},
		"excuses":            {one(func(out []byte) { out[3] = 255 }), ErrRefused},
		"echo":               {func(r *router) { r.datagram = func(in []byte) [][]byte { return [][]byte{in} } }, ErrNoAnswer},
		"only half":          {pcpAnswers(func(out []byte) [][]byte { return [][]byte{out[:59]} }), ErrNoAnswer},
		"a flood of garbage": {pcpAnswers(func([]byte) [][]byte { return slicesOf(1000, []byte("garbage")) }), ErrBadAnswer},
		"a flood of others' answers": {pcpAnswers(func(out []byte) [][]byte {
			out[24]++
			return slicesOf(1000, out)
		}), ErrBadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, c.router, func(b *bed) {
				b.after(searchWithin + openWithin + closeWithin)
				b.unmapped(c.why)
				heard := b.router.heard()
				b.after(retryFirst - searchWithin - openWithin - closeWithin)
				if n := b.router.heard(); n > heard {
					b.Errorf("the router heard %d datagrams more within a minute", n-heard)
				}
			})
		})
	}
	// What is too much is cut down.
	t.Run("for ever", func(t *testing.T) {
		inBed(t, one(func(out []byte) { binary.BigEndian.PutUint32(out[4:], math.MaxUint32) }), func(b *bed) {
			b.after(time.Second)
			if left := time.Until(b.Status().Until); left <= 0 || left > longest {
				b.Errorf("the mapping is believed for %v", left)
			}
		})
	})
}

func slicesOf(n int, b []byte) (all [][]byte) {
	for range n {
		all = append(all, b)
	}
	return all
}

// Whoever is not the router is not heard, though he answers first.
func TestStranger(t *testing.T) {
	inBed(t, nil, func(b *bed) {
		stranger := netip.MustParseAddr("192.168.1.66")
		visits, stop := local(t, b.sim.Host(stranger), netip.AddrPortFrom(stranger, 5000))
		defer stop()
		conn, err := b.sim.Host(stranger).ListenPacket(context.Background(), netip.AddrPortFrom(stranger, ssdpPort))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		lies := [][]byte{
			found(igds[0], "http://192.168.1.66:5000/desc.xml"), found(igds[1], "http://192.168.1.1:5000/desc.xml"),
			mapRequest{hostAt, b.protocols[0].(*pcp).nonce, localPort, localPort, time.Hour}.append(nil),
		}
		lies[2][1] |= pcpResponse
		// To every port that the host may be asking from.
		ports := func() {
			for port := 1024; port < 65536; port++ {
				for _, lie := range lies {
					_, _ = conn.WriteTo(lie, net.UDPAddrFromAddrPort(netip.AddrPortFrom(hostAt, uint16(port))))
				}
			}
		}
		b.Changed()
		b.after(settle + 10*time.Millisecond)
		ports()
		b.after(100 * time.Millisecond)
		ports()
		b.after(10 * time.Second)
		b.unmapped(ErrNoAnswer)
		if n := visits(); n > 0 {
			b.Errorf("the stranger had %d visits", n)
		}
	})
}

// A router that lies about UPnP leads nobody astray, and can't waste more than
// a few seconds and kilobytes.
func TestHostileUPnP(t *testing.T) {
	const service = "urn:schemas-upnp-org:service:WANIPConnection:1"
	location := func(at string) func(*router) {
		return func(r *router) { r.location = func(target string) []byte { return found(target, at) } }
	}
	web := func(serve func(r *router, w http.ResponseWriter, q *http.Request)) func(*router) {
		return func(r *router) {
			r.service = service
			r.page = func(w http.ResponseWriter, q *http.Request) { serve(r, w, q) }
		}
	}
	describes := func(control string) func(*router) {
		return web(func(_ *router, w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, page, service, control) })
	}
	control := func(serve func(w http.ResponseWriter, action string)) func(*router) {
		return web(func(_ *router, w http.ResponseWriter, q *http.Request) {
			if q.URL.Path == "/desc.xml" {
				fmt.Fprintf(w, page, service, "/control")
				return
			}
			serve(w, q.Header.Get("Soapaction"))
		})
	}
	const envelope = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>%s</s:Body></s:Envelope>`
	for name, c := range map[string]struct {
		router func(*router)
		why    Reason
	}{
		"location elsewhere":    {location("http://192.168.1.66:5000/desc.xml"), ErrNoAnswer},
		"location by name":      {location("http://victim:5000/desc.xml"), ErrNoAnswer},
		"location where nobody": {location("http://192.168.1.1:1/desc.xml"), ErrNoAnswer},
		"location by https":     {location("https://192.168.1.66:5000/desc.xml"), ErrNoAnswer},
		"redirects": {web(func(_ *router, w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "http://192.168.1.66:5000/desc.xml", http.StatusFound)
		}), ErrNoAnswer},
		"control elsewhere": {describes("http://192.168.1.66:5000/control"), ErrNoExternal},
		"control by name":   {describes("//victim:5000/control"), ErrNoExternal},
		"base elsewhere": {web(func(_ *router, w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.Replace(fmt.Sprintf(page, service, "control"), "<device>", "<URLBase>http://192.168.1.66:5000/</URLBase><device>", 1))
		}), ErrNoExternal},
		"no end of description": {web(func(r *router, w http.ResponseWriter, q *http.Request) {
			fmt.Fprint(w, "<root><device>")
			for q.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("<icon>", 1000)); err != nil {
					return
				}
			}
		}), ErrNoAnswer},
		"a slow description": {web(func(_ *router, w http.ResponseWriter, q *http.Request) {
			for q.Context().Err() == nil {
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		}), ErrNoAnswer},
		"long headers": {web(func(_ *router, w http.ResponseWriter, _ *http.Request) {
			for i := range 100 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
			}
		}), ErrNoAnswer},
		"no description": {web(func(_ *router, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Welcome") }), ErrNoAnswer},
		"many services": {web(func(_ *router, w http.ResponseWriter, q *http.Request) {
			if q.URL.Path != "/desc.xml" {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			one := "<service><serviceType>" + service + "</serviceType><controlURL>/control</controlURL></service>"
			fmt.Fprint(w, `<root xmlns="urn:schemas-upnp-org:device-1-0"><device><serviceList>`+strings.Repeat(one, 1000)+`</serviceList></device></root>`)
		}), ErrNoExternal},
		"external address garbage": {control(func(w http.ResponseWriter, _ string) {
			fmt.Fprintf(w, envelope, "<r><NewExternalIPAddress>"+strings.Repeat("1", 10000)+"</NewExternalIPAddress></r>")
		}), ErrNoExternal},
		"endless answer": {control(func(w http.ResponseWriter, _ string) {
			fmt.Fprintf(w, envelope, strings.Repeat("<a>", maxBody))
		}), ErrNoExternal},
		"fault garbage": {control(func(w http.ResponseWriter, action string) {
			if strings.Contains(action, "GetExternalIPAddress") {
				fmt.Fprintf(w, envelope, "<r><NewExternalIPAddress>11.0.10.10</NewExternalIPAddress></r>")
				return
			}
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, envelope, "<s:Fault><detail><UPnPError><errorCode>99999999999999999999</errorCode></UPnPError></detail></s:Fault>")
		}), ErrNoAnswer},
		"always taken": {control(func(w http.ResponseWriter, action string) {
			if strings.Contains(action, "GetExternalIPAddress") {
				fmt.Fprintf(w, envelope, "<r><NewExternalIPAddress>11.0.10.10</NewExternalIPAddress></r>")
				return
			}
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, envelope, "<s:Fault><detail><UPnPError><errorCode>718</errorCode></UPnPError></detail></s:Fault>")
		}), ErrRefused},
		"silent at opening": {control(func(w http.ResponseWriter, action string) {
			if strings.Contains(action, "GetExternalIPAddress") {
				fmt.Fprintf(w, envelope, "<r><NewExternalIPAddress>11.0.10.10</NewExternalIPAddress></r>")
				return
			}
			time.Sleep(time.Minute)
		}), ErrNoAnswer},
		"private address": {control(func(w http.ResponseWriter, _ string) {
			fmt.Fprintf(w, envelope, "<r><NewExternalIPAddress>192.168.1.10</NewExternalIPAddress></r>")
		}), ErrDoubleNAT},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, c.router, func(b *bed) {
				victim := netip.MustParseAddr("192.168.1.66")
				visits, stop := local(t, b.sim.Host(victim), netip.AddrPortFrom(victim, 5000))
				defer stop()
				b.after(searchWithin + openWithin + closeWithin)
				b.unmapped(c.why)
				if n := visits(); n > 0 {
					b.Errorf("the victim had %d visits", n)
				}
				begun := time.Now()
				b.stop()
				if took := time.Since(begun); took > openWithin+closeWithin {
					b.Errorf("the end took %v", took)
				}
				if name == "silent at opening" {
					b.after(time.Minute) // until the router's own goroutines have ended
				}
			})
		})
	}
}

// A search ends when its caller does, whatever the router is doing.
func TestSearchIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		begun := time.Now()
		m := New(Config{Port: localPort, Outside: func() Outside { return Outside{} }})
		m.protocols = []protocol{stuck{}, stuck{}, stuck{}}
		if l, err := m.search(inner, place{routerAt, hostAt}, publicAt); l != nil || ReasonOf(err) != ErrNoAnswer {
			t.Errorf("%v, %v", l, err)
		}
		if took := time.Since(begun); took != 10*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

type stuck struct{}

func (stuck) method() Method { return PCP }

func (stuck) find(ctx context.Context, _ place) (opener, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
