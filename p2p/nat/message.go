package nat

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/pion/stun/v3"
)

const (
	headerSize  = 20
	magicCookie = 0x2112A442
	// maxAnswer is the largest answer that is looked at, in bytes.
	maxAnswer = 1500
	// minRequest is the least size of a request, in bytes: the coordinator
	// sends no answer that is larger than its request, and the largest good one
	// has an IPv6 address, a cookie and a fingerprint.
	minRequest = headerSize + 24 + 12 + 8
	// changePort asks for the answer from another port (RFC 5780, 7.2).
	changePort = 0x2
)

// attrCookie is the coordinator's own attribute, in the range that others ignore
// (RFC 8489, 18.3). See cookie.
const attrCookie stun.AttrType = 0xCEA5

// cookie comes with an answer and goes with later requests: it shows the
// coordinator that this device gets what is sent to its address.
type cookie [8]byte

type transaction = [stun.TransactionIDSize]byte

// isSTUN tells STUN from everything else on the peer socket (RFC 8489, 5): QUIC
// sets one of the first two bits, and probes have no magic cookie.
func isSTUN(b []byte) bool {
	return len(b) >= headerSize && b[0]&0xC0 == 0 && binary.BigEndian.Uint32(b[4:]) == magicCookie
}

// request is a binding request to be written.
type request struct {
	id     transaction
	token  string // USERNAME; may be empty
	cookie cookie // zero if there is none yet
	change bool   // have it answered from another port
}

// encode returns the request's bytes, at least minRequest of them.
func (r request) encode() ([]byte, error) {
	m := stun.New()
	m.Type = stun.BindingRequest
	m.TransactionID = r.id
	m.WriteHeader()
	if r.token != "" {
		if err := stun.NewUsername(r.token).AddTo(m); err != nil {
			return nil, err
		}
	}
	if r.cookie != (cookie{}) {
		m.Add(attrCookie, r.cookie[:])
	}
	if r.change {
		m.Add(stun.AttrChangeRequest, []byte{0, 0, 0, changePort})
	}
	if missing := minRequest - len(m.Raw) - 8; missing > 0 {
		m.Add(stun.AttrPadding, make([]byte, max(0, missing-4)))
	}
	err := stun.Fingerprint.AddTo(m)
	return m.Raw, err
}

// answer is what a coordinator says.
type answer struct {
	id      transaction
	refused bool           // an error, or nothing that can be understood
	seen    netip.AddrPort // XOR-MAPPED-ADDRESS
	cookie  cookie         // zero if there is none
}

// errAnswer is the family of datagrams that are no answers.
var errAnswer = errors.New("this is no answer to a STUN request")

// parseAnswer reads an answer. What is none is an error of errAnswer; what is
// one that this program can't use is refused (RFC 8489, 6.3.3 and 6.3.4).
func parseAnswer(b []byte) (answer, error) {
	if !isSTUN(b) || len(b) > maxAnswer || int(binary.BigEndian.Uint16(b[2:]))+headerSize != len(b) {
		return answer{}, errAnswer
	}
	m := new(stun.Message)
	if _, err := m.Write(b); err != nil {
		return answer{}, errors.Join(errAnswer, err)
	}
	if m.Type != stun.BindingSuccess && m.Type != stun.BindingError {
		return answer{}, errAnswer
	}
	a := answer{id: m.TransactionID, refused: m.Type == stun.BindingError}
	for i, attribute := range m.Attributes {
		switch {
		case attribute.Type == stun.AttrFingerprint:
			if i != len(m.Attributes)-1 || stun.Fingerprint.Check(m) != nil {
				return answer{}, errAnswer
			}
		case attribute.Type == attrCookie && len(attribute.Value) == len(a.cookie) && a.cookie == cookie{}:
			a.cookie = cookie(attribute.Value)
		case attribute.Type.Required() && !expected(attribute.Type):
			a.refused = true
		}
	}
	if a.refused {
		return a, nil
	}
	var at stun.XORMappedAddress
	if err := at.GetFrom(m); err != nil {
		return answer{}, errors.Join(errAnswer, err)
	}
	ip, ok := netip.AddrFromSlice(at.IP)
	if !ok || at.Port <= 0 || at.Port > 0xFFFF {
		return answer{}, errAnswer
	}
	a.seen = netip.AddrPortFrom(ip.Unmap(), uint16(at.Port))
	return a, nil
}

// expected says whether an attribute that must be understood is.
func expected(t stun.AttrType) bool {
	switch t {
	case stun.AttrXORMappedAddress, stun.AttrMappedAddress, stun.AttrErrorCode, stun.AttrUnknownAttributes,
		stun.AttrMessageIntegrity, stun.AttrMessageIntegritySHA256, stun.AttrPadding:
		return true
	}
	return false
}

// plausible says whether a coordinator at server can see somebody at seen.
func plausible(seen, server netip.AddrPort) bool {
	a := seen.Addr()
	switch {
	case seen.Port() == 0 || a.Is4() != server.Addr().Is4() || a.IsLoopback() != server.Addr().IsLoopback():
		return false
	case a.IsLinkLocalUnicast():
		return server.Addr().IsLinkLocalUnicast()
	}
	return !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
