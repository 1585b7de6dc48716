package portmap

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/dcps/internetgateway2"
	"github.com/huin/goupnp/soap"

	"earshot/protocol/hostnet"
)

const (
	// searchFor is how long a router may take to say where its description is:
	// it may wait for a second.
	searchFor = 2 * time.Second
	// requestWithin bounds an HTTP request, and maxBody what is answered.
	requestWithin = 2 * time.Second
	maxBody       = 128 << 10
	maxHeader     = 16 << 10
	// maxDatagrams bounds what is read during a search.
	maxDatagrams = 256
	// maxServices bounds which services of a router are asked.
	maxServices = 4
	// otherPorts is how many external ports are tried after the one wished for.
	otherPorts = 3
	// description is what the router's own pages call the mapping.
	description = "Earshot"
)

// UPnP's errors (WANIPConnection:2, 2.5).
const (
	upnpConflict        = 718
	upnpOnlyPermanent   = 725
	upnpConflictWithOld = 729
)

// upnp asks by UPnP.
type upnp struct{ net hostnet.Net }

func (p *upnp) method() Method { return UPnP }

func (p *upnp) find(ctx context.Context, where place) (opener, error) {
	location, err := p.discover(ctx, where)
	if err != nil {
		return nil, err
	}
	client := p.client(where)
	root, err := describe(ctx, client, location)
	if err != nil {
		return nil, because(ErrNoAnswer, "UPnP: the description at %v: %w", location, err)
	}
	var errs []error
	for _, w := range services(root, location, client) {
		if _, err := external(ctx, w); err != nil {
			errs = append(errs, err)
			continue
		}
		return &upnpOpener{wan: w, local: where.local}, nil
	}
	return nil, because(ErrNoExternal, "UPnP: no connection of the router at %v: %w", location, errors.Join(errs...))
}

// discover asks for the description's address, everybody and the router alone:
// some switches lose the one, some routers don't know the other.
func (p *upnp) discover(ctx context.Context, where place) (*url.URL, error) {
	conn, err := p.net.ListenPacket(ctx, netip.AddrPortFrom(where.local, 0))
	if err != nil {
		return nil, because(ErrNoAnswer, "UPnP: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	until := time.Now().Add(searchFor)
	read := 0
	for try := range 2 {
		var sent bool
		for _, to := range []netip.Addr{ssdpGroup, where.gateway} {
			for _, target := range igds {
				_, err = conn.WriteTo(searchRequest(target), net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, ssdpPort)))
				sent = sent || err == nil
			}
		}
		if !sent {
			return nil, because(ErrNoAnswer, "UPnP: %w", err)
		}
		deadline := until
		if try == 0 {
			deadline = time.Now().Add(searchFor / 4)
		}
		if err := conn.SetReadDeadline(deadline); err != nil {
			return nil, because(ErrNoAnswer, "UPnP: %w", err)
		}
		location, err := hear(conn, where.gateway, &read)
		if err == nil {
			return location, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, because(ErrNoAnswer, "UPnP: %w", errors.Join(err, ctx.Err()))
		}
	}
	return nil, because(ErrNoAnswer, "UPnP: nobody answered the search")
}

// hear reads until the router has answered a search.
func hear(conn net.PacketConn, gateway netip.Addr, read *int) (*url.URL, error) {
	b := make([]byte, maxSSDP+1)
	for ; *read < maxDatagrams; *read++ {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return nil, err
		}
		if hostnet.AddrPort(from).Addr() != gateway {
			continue
		}
		if location, ok := parseLocation(b[:n], gateway); ok {
			return location, nil
		}
	}
	return nil, errors.New("too many datagrams that are no answers")
}

// client speaks HTTP with the router and with nobody else.
func (p *upnp) client(where place) http.Client {
	return http.Client{
		Timeout: requestWithin,
		Transport: &bounded{where.gateway, &http.Transport{
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				at, err := netip.ParseAddrPort(addr)
				if err != nil || at.Addr() != where.gateway {
					return nil, fmt.Errorf("%s is not at the router", addr)
				}
				return p.net.Dial(ctx, at)
			},
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded is a Transport to the router that reads so much and no more.
type bounded struct {
	gateway netip.Addr
	*http.Transport
}

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if !onGateway(r.URL, b.gateway) {
		return nil, fmt.Errorf("%v is not at the router", r.URL.Redacted())
	}
	response, err := b.Transport.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxBody)
	}
	return response, err
}

// describe reads a router's description.
func describe(ctx context.Context, client http.Client, location *url.URL) (*goupnp.RootDevice, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, location.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	return parseDescription(response.Body, location)
}

func parseDescription(r io.Reader, location *url.URL) (*goupnp.RootDevice, error) {
	var root goupnp.RootDevice
	decoder := xml.NewDecoder(r)
	decoder.DefaultSpace = goupnp.DeviceXMLNamespace
	if err := decoder.Decode(&root); err != nil {
		return nil, err
	}
	base := location
	if root.URLBaseStr != "" {
		var err error
		if base, err = url.Parse(root.URLBaseStr); err != nil {
			return nil, err
		}
	}
	root.SetURLBase(base)
	return &root, nil
}

// wan is what all of a router's services for connections have in common.
type wan interface {
	GetExternalIPAddressCtx(ctx context.Context) (string, error)
	AddPortMappingCtx(ctx context.Context, remote string, external uint16, protocol string, port uint16, client string,
		enabled bool, description string, seconds uint32) error
	DeletePortMappingCtx(ctx context.Context, remote string, external uint16, protocol string) error
}

// anyWAN is one of version 2, which finds a free external port itself.
type anyWAN interface {
	AddAnyPortMappingCtx(ctx context.Context, remote string, external uint16, protocol string, port uint16, client string,
		enabled bool, description string, seconds uint32) (uint16, error)
}

// services are a router's, better ones first. What is described is bounded by
// maxBody.
func services(root *goupnp.RootDevice, location *url.URL, client http.Client) (list []wan) {
	// None of that kind is the only error.
	two, _ := internetgateway2.NewWANIPConnection2ClientsFromRootDevice(root, location)
	for _, c := range two {
		c.SOAPClient.HTTPClient = client
		list = append(list, c)
	}
	one, _ := internetgateway2.NewWANIPConnection1ClientsFromRootDevice(root, location)
	for _, c := range one {
		c.SOAPClient.HTTPClient = client
		list = append(list, c)
	}
	ppp, _ := internetgateway2.NewWANPPPConnection1ClientsFromRootDevice(root, location)
	for _, c := range ppp {
		c.SOAPClient.HTTPClient = client
		list = append(list, c)
	}
	return list[:min(len(list), maxServices)]
}

// external is a connection's address on the Internet.
func external(ctx context.Context, w wan) (netip.Addr, error) {
	text, err := w.GetExternalIPAddressCtx(ctx)
	if err != nil {
		return netip.Addr{}, upnpError(err)
	}
	at, err := netip.ParseAddr(text)
	if err != nil || !at.Is4() || at.IsUnspecified() {
		return netip.Addr{}, because(ErrNoExternal, "UPnP: the external address is %.20q", text)
	}
	return at, nil
}

// upnpOpener is a connection of a router that speaks UPnP.
type upnpOpener struct {
	wan   wan
	local netip.Addr
	held  uint16 // the external port that was opened last
}

func (o *upnpOpener) open(ctx context.Context, port, wish uint16) (grant, error) {
	got, err := o.add(ctx, port, wish, lifetime)
	if code(err) == upnpOnlyPermanent {
		// It is given back, and renewed as if it were for a time.
		got, err = o.add(ctx, port, wish, 0)
	}
	if err != nil {
		return grant{}, upnpError(err)
	}
	at, err := external(ctx, o.wan)
	if err != nil {
		return grant{}, errors.Join(err, o.close(ctx, port, netip.AddrPortFrom(netip.Addr{}, got)))
	}
	o.held = got
	return grant{netip.AddrPortFrom(at, got), lifetime}, nil
}

// add opens the external port that is wished for, or another one.
func (o *upnpOpener) add(ctx context.Context, port, wish uint16, d time.Duration) (uint16, error) {
	const free = 1024 // ports below are for the router's own services
	wish = max(wish, free)
	seconds := uint32(d / time.Second)
	if a, ok := o.wan.(anyWAN); ok && wish != o.held { // which would find another port than the one that is held
		got, err := a.AddAnyPortMappingCtx(ctx, "", wish, "UDP", port, o.local.String(), true, description, seconds)
		if err == nil || code(err) == upnpOnlyPermanent || ctx.Err() != nil {
			return got, err
		}
		// Some routers of version 2 don't know that.
	}
	var err error
	for i := range uint16(1 + otherPorts) {
		// Far from each other, as whoever has one port often has the next.
		at := free + (wish-free+i*10007)%(1<<16-1-free)
		err = o.wan.AddPortMappingCtx(ctx, "", at, "UDP", port, o.local.String(), true, description, seconds)
		if c := code(err); c != upnpConflict && c != upnpConflictWithOld {
			return at, err
		}
	}
	return 0, err
}

func (o *upnpOpener) close(ctx context.Context, _ uint16, external netip.AddrPort) error {
	if err := o.wan.DeletePortMappingCtx(ctx, "", external.Port(), "UDP"); err != nil {
		return upnpError(err)
	}
	return nil
}

// code is the number of an error that the router told; 0 is any other one.
func code(err error) int {
	if fault, ok := errors.AsType[*soap.SOAPFaultError](err); ok {
		return fault.Detail.UPnPError.Errorcode
	}
	return 0
}

// upnpError leaves out what the router wrote into its error, which is as long
// as it likes.
func upnpError(err error) error {
	if c := code(err); c != 0 {
		return because(ErrRefused, "UPnP error %d", c)
	}
	if _, ok := errors.AsType[*soap.SOAPFaultError](err); ok {
		return because(ErrRefused, "UPnP error without a number")
	}
	return because(ErrNoAnswer, "UPnP: %w", err)
}
