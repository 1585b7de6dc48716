package portmap

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot/protocol/hostnet"
)

var (
	osNet    = hostnet.OS
	routerAt = netip.MustParseAddr("192.168.1.1")
	hostAt   = netip.MustParseAddr("192.168.1.10")
	publicAt = netip.MustParseAddr("11.0.10.10")
	serverAt = netip.MustParseAddr("11.0.0.1")
)

// opened is what a router has opened.
type opened struct {
	to    netip.AddrPort
	until time.Time // zero for ever
	nonce nonce
}

// router is a router's side of PCP and UPnP, on the Sim. What is set before
// serve is what it is like.
type router struct {
	t        testing.TB
	net      hostnet.Net
	at       netip.Addr
	external netip.Addr
	told     netip.Addr // that the host takes for its router, instead
	// What it speaks: UPnP's service, empty for none, and PCP.
	service string
	pcp     bool
	// permanent is a router that knows no lifetimes, taken are ports of others,
	// and longest is the lifetime that it grants.
	permanent bool
	taken     map[uint16]bool
	longest   time.Duration
	// Hostile ones do these instead.
	datagram func(in []byte) [][]byte                     // PCP
	location func(target string) []byte                   // SSDP
	page     func(w http.ResponseWriter, r *http.Request) // HTTP

	mu      sync.Mutex
	open    map[uint16]opened
	asked   []time.Time // when a port was asked for
	packets int         // datagrams that came in
	begun   time.Time
}

func newRouter(t testing.TB, n hostnet.Net) *router {
	return &router{t: t, net: n, at: routerAt, external: publicAt, taken: make(map[uint16]bool), open: make(map[uint16]opened), longest: 2 * time.Hour}
}

// serve answers until the returned function is called.
func (r *router) serve() (stop func()) {
	r.begun = time.Now()
	var serving sync.WaitGroup
	ctx := context.Background()
	var closers []func()
	for port, answer := range map[uint16]func([]byte) [][]byte{pcpPort: r.answerPCP, ssdpPort: r.answerSSDP} {
		conn, err := r.net.ListenPacket(ctx, netip.AddrPortFrom(r.at, port))
		if err != nil {
			r.t.Fatal(err)
		}
		closers = append(closers, func() { conn.Close() })
		serving.Go(func() {
			b := make([]byte, 2048)
			for {
				n, from, err := conn.ReadFrom(b)
				if err != nil {
					return
				}
				r.mu.Lock()
				r.packets++
				out := answer(b[:n])
				r.mu.Unlock()
				for _, o := range out {
					_, _ = conn.WriteTo(o, from)
				}
			}
		})
	}
	listener, err := r.net.Listen(ctx, netip.AddrPortFrom(r.at, 5000))
	if err != nil {
		r.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(r.web)}
	serving.Go(func() { _ = server.Serve(listener) })
	return sync.OnceFunc(func() {
		server.Close()
		for _, c := range closers {
			c()
		}
		serving.Wait()
	})
}

// mappings returns what is open now.
func (r *router) mappings() map[uint16]opened {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := make(map[uint16]opened)
	for port, o := range r.open {
		if o.until.IsZero() || time.Now().Before(o.until) {
			now[port] = o
		}
	}
	return now
}

func (r *router) questions() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.asked...)
}

func (r *router) heard() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.packets
}

// answerPCP is a server by RFC 6887.
func (r *router) answerPCP(in []byte) [][]byte {
	switch {
	case r.datagram != nil:
		return r.datagram(in)
	case !r.pcp:
		return nil
	case len(in) < pcpHeader || in[0] != pcpVersion:
		return [][]byte{{pcpVersion, pcpResponse | in[1], 0, pcpBadVersion}}
	}
	out := append([]byte(nil), in...)
	out[1] |= pcpResponse
	binary.BigEndian.PutUint32(out[8:], uint32(time.Since(r.begun)/time.Second))
	clear(out[12:pcpHeader])
	if in[1] == pcpAnnounce {
		return [][]byte{out}
	}
	if len(in) != pcpMapSize || in[36] != pcpUDP {
		r.t.Errorf("the router is sent % x", in)
		return nil
	}
	client := netip.AddrFrom16([16]byte(in[8:24])).Unmap()
	to := netip.AddrPortFrom(client, binary.BigEndian.Uint16(in[40:]))
	port, key := binary.BigEndian.Uint16(in[42:]), nonce(in[24:36])
	d := min(time.Duration(binary.BigEndian.Uint32(in[4:]))*time.Second, r.longest)
	for at, o := range r.open {
		if o.to == to {
			if o.nonce != key {
				out[3] = 2
				return [][]byte{out}
			}
			port = at
			delete(r.open, at)
		}
	}
	if d > 0 {
		r.asked = append(r.asked, time.Now())
		for port == 0 || r.taken[port] {
			port++
		}
		r.open[port] = opened{to, time.Now().Add(d), key}
	}
	binary.BigEndian.PutUint32(out[4:], uint32(d/time.Second))
	binary.BigEndian.PutUint16(out[42:], port)
	external := r.external.As16()
	copy(out[44:], external[:])
	return [][]byte{out}
}

func (r *router) answerSSDP(in []byte) [][]byte {
	_, target, _ := strings.Cut(string(in), "\r\nST: ")
	target, _, _ = strings.Cut(target, "\r\n")
	switch {
	case r.location != nil:
		return [][]byte{r.location(target)}
	case r.service == "" || !strings.HasSuffix(target, ":1"):
		return nil
	}
	return [][]byte{found(target, fmt.Sprintf("http://%v:5000/desc.xml", r.at))}
}

func found(target, location string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: %s\r\nUSN: uuid:1::%s\r\nEXT:\r\nSERVER: fake\r\nLOCATION: %s\r\n\r\n",
		target, target, location)
}

const page = `<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><friendlyName>fake</friendlyName>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType>
<serviceList><service><serviceType>%s</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>
<SCPDURL>/scpd.xml</SCPDURL><controlURL>%s</controlURL><eventSubURL>/event</eventSubURL></service></serviceList>
</device></deviceList></device></deviceList></device></root>`

var argument = regexp.MustCompile(`<(New\w+)>([^<]*)</`)

// web is the router's web server.
func (r *router) web(w http.ResponseWriter, q *http.Request) {
	if r.page != nil {
		r.page(w, q)
		return
	}
	if q.URL.Path == "/desc.xml" {
		fmt.Fprintf(w, page, r.service, "/control")
		return
	}
	body := new(strings.Builder)
	_ = q.Write(body)
	args := make(map[string]string)
	for _, m := range argument.FindAllStringSubmatch(body.String(), -1) {
		args[m[1]] = m[2]
	}
	name, action, _ := strings.Cut(strings.Trim(q.Header.Get("Soapaction"), `"`), "#")
	if name != r.service {
		r.t.Errorf("the router is asked for %s of %s", action, name)
	}
	r.mu.Lock()
	fault, answer := r.act(action, args)
	r.mu.Unlock()
	if fault != 0 {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode>`+
			`<faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode>`+
			`<errorDescription>no</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, fault)
		return
	}
	fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:%sResponse xmlns:u="%s">%s</u:%sResponse></s:Body></s:Envelope>`,
		action, r.service, answer, action)
}

// act is an action of a connection's service. mu is held.
func (r *router) act(action string, args map[string]string) (fault int, answer string) {
	external, _ := strconv.ParseUint(args["NewExternalPort"], 10, 16)
	port := uint16(external)
	switch action {
	case "GetExternalIPAddress":
		return 0, "<NewExternalIPAddress>" + r.external.String() + "</NewExternalIPAddress>"
	case "DeletePortMapping":
		if _, ok := r.open[port]; !ok || args["NewProtocol"] != "UDP" {
			return 714, ""
		}
		delete(r.open, port)
		return 0, ""
	case "AddAnyPortMapping":
		if !strings.HasSuffix(r.service, ":2") {
			return 401, ""
		}
		for _, is := r.open[port]; is || r.taken[port]; _, is = r.open[port] {
			port++
		}
	case "AddPortMapping":
	default:
		return 401, ""
	}
	seconds, _ := strconv.ParseUint(args["NewLeaseDuration"], 10, 32)
	internal, _ := strconv.ParseUint(args["NewInternalPort"], 10, 16)
	client, err := netip.ParseAddr(args["NewInternalClient"])
	if err != nil || args["NewProtocol"] != "UDP" || args["NewEnabled"] != "1" {
		r.t.Errorf("the router is asked for a mapping with %v", args)
		return 402, ""
	}
	if r.permanent && seconds > 0 {
		return upnpOnlyPermanent, ""
	}
	if r.taken[port] {
		return upnpConflict, ""
	}
	r.asked = append(r.asked, time.Now())
	o := opened{to: netip.AddrPortFrom(client, uint16(internal))}
	if seconds > 0 {
		o.until = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	r.open[port] = o
	if action == "AddAnyPortMapping" {
		return 0, fmt.Sprintf("<NewReservedPort>%d</NewReservedPort>", port)
	}
	return 0, ""
}

// local is a socket of a router that does nothing but count who comes.
func local(t testing.TB, n hostnet.Net, at netip.AddrPort) (visits func() int, stop func()) {
	listener, err := n.Listen(context.Background(), at)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var count int
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			count++
			mu.Unlock()
			conn.Close()
		}
	})
	visits = func() int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
	return visits, func() { listener.Close(); serving.Wait() }
}
