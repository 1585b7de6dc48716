package portmap

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
)

const (
	ssdpPort = 1900
	// maxSSDP bounds an answer, and maxURL an address in it.
	maxSSDP = 2048
	maxURL  = 512
)

// ssdpGroup is where UPnP devices listen.
var ssdpGroup = netip.AddrFrom4([4]byte{239, 255, 255, 250})

// igds are what is searched for.
var igds = []string{
	"urn:schemas-upnp-org:device:InternetGatewayDevice:2",
	"urn:schemas-upnp-org:device:InternetGatewayDevice:1",
}

// searchRequest is a search for a kind of device (UPnP Device Architecture
// 1.1, 1.3.2), to be answered at once.
func searchRequest(target string) []byte {
	return fmt.Appendf(nil, "M-SEARCH * HTTP/1.1\r\nHOST: %v:%d\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: %s\r\n\r\n",
		ssdpGroup, ssdpPort, target)
}

// parseLocation reads an answer to a search: where the description of a gateway
// is, which must be on the router itself. ok is false for anything else.
func parseLocation(b []byte, gateway netip.Addr) (location *url.URL, ok bool) {
	if len(b) > maxSSDP {
		return nil, false
	}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil {
		return nil, false
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK || !slices.Contains(igds, response.Header.Get("St")) {
		return nil, false
	}
	text := response.Header.Get("Location")
	if len(text) > maxURL {
		return nil, false
	}
	location, err = url.Parse(text)
	if err != nil || !onGateway(location, gateway) {
		return nil, false
	}
	return location, true
}

// onGateway says whether an address is one of the router's web server.
func onGateway(u *url.URL, gateway netip.Addr) bool {
	host, err := netip.ParseAddr(u.Hostname())
	return err == nil && host == gateway && u.Scheme == "http" && u.User == nil
}
