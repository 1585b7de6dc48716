package portmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// PCP's numbers (RFC 6887, 7 and 19).
const (
	pcpPort       = 5351
	pcpVersion    = 2
	pcpHeader     = 24
	pcpMapSize    = 60
	pcpMaxSize    = 1100
	pcpAnnounce   = 0
	pcpMap        = 1
	pcpResponse   = 0x80
	pcpUDP        = 17
	pcpSuccess    = 0
	pcpBadVersion = 1
)

// Errors of a PCP message.
var (
	errNotPCP     = errors.New("not an answer of PCP")
	errPCPVersion = errors.New("the router speaks another version of PCP, or NAT-PMP only")
)

type nonce [12]byte

// mapRequest asks for a UDP mapping, or with a lifetime of 0 for its end (RFC
// 6887, 7.1 and 11.1). All numbers are big-endian.
//
//	 0  1  version, 2
//	 1  1  opcode, 1
//	 2  2  reserved
//	 4  4  lifetime in seconds
//	 8 16  the client's address, IPv4 as ::ffff:a.b.c.d
//	24 12  nonce
//	36  1  protocol, 17 for UDP
//	37  3  reserved
//	40  2  internal port
//	42  2  external port that the client would like
//	44 16  external address that the client would like, ::ffff:0.0.0.0 for any
type mapRequest struct {
	client             netip.Addr
	nonce              nonce
	internal, external uint16
	lifetime           time.Duration // in whole seconds
}

var anyExternal = netip.IPv4Unspecified().As16()

func (r mapRequest) append(b []byte) []byte {
	b = appendHeader(b, pcpMap, r.lifetime, r.client)
	b = append(b, r.nonce[:]...)
	b = append(b, pcpUDP, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, r.internal)
	b = binary.BigEndian.AppendUint16(b, r.external)
	return append(b, anyExternal[:]...)
}

// appendAnnounce appends a request that changes nothing (RFC 6887, 14.1): a
// header alone.
func appendAnnounce(b []byte, client netip.Addr) []byte {
	return appendHeader(b, pcpAnnounce, 0, client)
}

func appendHeader(b []byte, opcode byte, lifetime time.Duration, client netip.Addr) []byte {
	b = append(b, pcpVersion, opcode, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(lifetime/time.Second))
	at := client.As16()
	return append(b, at[:]...)
}

// answer is what a router says (RFC 6887, 7.2 and 11.1). What is about a
// mapping is there only where a mapping was asked for and made.
//
//	 0  1  version, 2
//	 1  1  opcode + 128
//	 2  1  reserved
//	 3  1  result, 0 for success
//	 4  4  lifetime in seconds, of the mapping or of the error
//	 8  4  seconds since the router has known its mappings
//	12 12  reserved
//	24 12  nonce, and so on as in the request; ports and addresses are those of the mapping
type answer struct {
	opcode, result byte
	lifetime       time.Duration
	nonce          nonce
	protocol       byte
	internal       uint16
	external       netip.AddrPort
}

// parseAnswer reads a datagram. A router that speaks NAT-PMP only says so with
// version 0 (RFC 6886, 3.5), which is errPCPVersion like PCP's own word for that.
func parseAnswer(b []byte) (a answer, err error) {
	if len(b) < 4 || len(b) > pcpMaxSize || b[1]&pcpResponse == 0 {
		return a, errNotPCP
	}
	if b[0] != pcpVersion || b[3] == pcpBadVersion {
		return a, errPCPVersion
	}
	if len(b) < pcpHeader || len(b)%4 != 0 {
		return a, errNotPCP
	}
	a.opcode, a.result = b[1]&^pcpResponse, b[3]
	a.lifetime = time.Duration(binary.BigEndian.Uint32(b[4:])) * time.Second
	if a.opcode != pcpMap {
		return a, nil
	}
	if len(b) < pcpMapSize {
		return a, errNotPCP
	}
	a.nonce, a.protocol, a.internal = nonce(b[24:36]), b[36], binary.BigEndian.Uint16(b[40:])
	a.external = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[44:60])).Unmap(), binary.BigEndian.Uint16(b[42:]))
	return a, nil
}

// fits says whether an answer is one to a request.
func (a answer) fits(r mapRequest) bool {
	return a.opcode == pcpMap && a.nonce == r.nonce && a.protocol == pcpUDP && a.internal == r.internal
}

var pcpResults = map[byte]string{
	2: "not authorized", 3: "malformed request", 4: "unsupported opcode", 5: "unsupported option", 6: "malformed option",
	7: "network failure", 8: "no resources", 9: "unsupported protocol", 10: "user exceeded quota",
	11: "cannot provide external", 12: "address mismatch", 13: "excessive remote peers",
}

// err is what the router's result means.
func (a answer) err() error {
	switch a.result {
	case pcpSuccess:
		return nil
	case 7:
		return because(ErrNoExternal, "PCP result 7, network failure")
	case 12:
		return because(ErrDoubleNAT, "PCP result 12, address mismatch: another NAT is between here and the router")
	}
	name, known := pcpResults[a.result]
	if !known {
		name = "unknown"
	}
	return because(ErrRefused, "%w", fmt.Errorf("PCP result %d, %s", a.result, name))
}
