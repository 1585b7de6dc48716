package stun

import (
	"encoding/binary"
	"net/netip"

	"github.com/pion/stun/v3"
)

const (
	headerSize      = 20
	magicCookie     = 0x2112A442
	attributeSize   = 4 // of a header
	fingerprintSize = attributeSize + 4
)

// changeRequest's flags (RFC 5780, 7.2).
const (
	changeIP   = 0x4
	changePort = 0x2
)

// Is says whether a datagram is to be taken for STUN (RFC 8489, 5): its first
// two bits are zero and the magic cookie is in its place. Nothing of the classic
// protocol looks like that, as it begins with a letter.
func Is(datagram []byte) bool {
	return len(datagram) >= headerSize && datagram[0]&0xC0 == 0 && binary.BigEndian.Uint32(datagram[4:]) == magicCookie
}

// exchange is a request and its answer. It is used again, so that neither costs
// an allocation. It does no I/O.
type exchange struct {
	request, answer stun.Message

	token       []byte // USERNAME, of the request's bytes
	cookie      []byte // of the request's bytes; nil if it has none
	otherPort   bool   // the answer is wanted from another port
	fingerprint bool
	unknown     []stun.AttrType
	offered     Cookie // for the answer, if there is a token
	failed      bool   // the answer is an error
}

// read takes a datagram apart and returns why it gets no answer, or "".
func (x *exchange) read(datagram []byte) string {
	x.token, x.cookie, x.otherPort, x.fingerprint, x.failed = nil, nil, false, false, false
	x.unknown = x.unknown[:0]
	switch {
	case len(datagram) > maxRequest:
		return "too large"
	case !Is(datagram) || int(binary.BigEndian.Uint16(datagram[2:]))+headerSize != len(datagram):
		return "malformed"
	}
	if _, err := x.request.Write(datagram); err != nil {
		return "malformed"
	}
	if x.request.Type != stun.BindingRequest {
		return "not a request"
	}
	for i, a := range x.request.Attributes {
		if why := x.attribute(a, i == len(x.request.Attributes)-1); why != "" {
			return why
		}
	}
	return ""
}

// attribute takes in one attribute. Of several of a type the first counts (RFC
// 8489, 14). What isn't expected in a request, and was thought of for another
// place, is ignored (6.3); what only an authentication would use, too, since
// there is none.
func (x *exchange) attribute(a stun.RawAttribute, last bool) string {
	switch a.Type {
	case stun.AttrUsername:
		if x.token == nil && len(a.Value) <= maxToken {
			x.token = a.Value
		}
	case attrCookie:
		if x.cookie == nil && len(a.Value) == len(Cookie{}) {
			x.cookie = a.Value
		}
	case stun.AttrChangeRequest:
		if len(a.Value) != 4 {
			return "malformed"
		}
		flags := binary.BigEndian.Uint32(a.Value)
		if flags&changeIP != 0 {
			x.unknown = append(x.unknown, a.Type) // there is one address only (RFC 5780, 6.1)
		}
		x.otherPort = x.otherPort || flags&changePort != 0
	case stun.AttrFingerprint:
		if !last || stun.Fingerprint.Check(&x.request) != nil {
			return "malformed"
		}
		x.fingerprint = true
	case stun.AttrPadding, // it has done what it is for by being there
		stun.AttrMessageIntegrity, stun.AttrMessageIntegritySHA256, stun.AttrPasswordAlgorithm, stun.AttrUserhash,
		stun.AttrRealm, stun.AttrNonce, stun.AttrMappedAddress, stun.AttrXORMappedAddress,
		stun.AttrErrorCode, stun.AttrUnknownAttributes:
	default:
		if a.Type.Required() {
			x.unknown = append(x.unknown, a.Type)
		}
	}
	return ""
}

// reply writes the answer for whoever is at from, of at most so many bytes, and
// returns why there is none, or "".
func (x *exchange) reply(from netip.AddrPort, most int) string {
	m := &x.answer
	m.Reset()
	m.TransactionID = x.request.TransactionID
	m.Type = stun.BindingSuccess
	if len(x.unknown) > 0 {
		x.failed = true
		m.Type = stun.BindingError
	}
	m.WriteHeader()
	var err error
	if x.failed {
		// Without a phrase, which would only say again what the number says.
		if err = (stun.ErrorCodeAttribute{Code: stun.CodeUnknownAttribute}).AddTo(m); err == nil {
			err = stun.UnknownAttributes(x.unknown).AddTo(m)
		}
	} else {
		err = x.mapped(from)
	}
	if err != nil {
		return "no answer"
	}
	room := most - len(m.Raw)
	if x.fingerprint {
		room -= fingerprintSize
	}
	if !x.failed && len(x.token) > 0 && room >= attributeSize+len(x.offered) {
		m.Add(attrCookie, x.offered[:])
	}
	if x.fingerprint {
		if err := stun.Fingerprint.AddTo(m); err != nil {
			return "no answer"
		}
	}
	if len(m.Raw) > most {
		return "too short"
	}
	return ""
}

// mapped adds XOR-MAPPED-ADDRESS (RFC 8489, 14.2).
func (x *exchange) mapped(from netip.AddrPort) error {
	four, six := [4]byte{}, from.Addr().As16()
	at := stun.XORMappedAddress{IP: six[:], Port: int(from.Port())}
	if from.Addr().Is4() {
		four = from.Addr().As4()
		at.IP = four[:]
	}
	return at.AddTo(&x.answer)
}
