package punch

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
)

// A probe is a datagram of Size bytes, a pong as long as a ping, so that
// nobody gets more than it sent.
//
//	offset  size
//	     0     4  1d 'E' 'P' 01: neither QUIC (RFC 9000, 17.2: 0x40 is set)
//	              nor STUN (RFC 8489, 5: the first byte is 0 to 3)
//	     4     8  the exchange: HKDF(probe key, "earshot probe 1 exchange")
//	    12    12  nonce, random
//	    24    28  sealed (AES-128-GCM, the 24 bytes before are authenticated):
//	    24     1    1 ping, 2 pong
//	    25     1    0
//	    26     8    transaction, random; a pong repeats its ping's
//	    34    16    of a pong: the IP address from which the ping came, an IPv4
//	                one as ::ffff:a.b.c.d; of a ping: zeros
//	    50     2    and its port
//	    52    16  tag
//
// The device with the lower ID seals with HKDF(probe key, "earshot probe 1
// lower"), the other one with "… higher"; HKDF is RFC 5869 with SHA-256 and no
// salt.
const Size = headerSize + bodySize + tagSize

const (
	headerSize = 24
	bodySize   = 28
	tagSize    = 16
	// KeySize is the size of a probe key.
	KeySize = 32
)

var magic = [4]byte{0x1d, 'E', 'P', 1}

// Type says what a probe is.
type Type uint8

const (
	Ping Type = 1
	Pong Type = 2
)

// ErrProbe is a datagram that is no probe, or not of this exchange.
var ErrProbe = errors.New("not a probe of this exchange")

type (
	// Transaction ties a pong to its ping.
	Transaction [8]byte
	// ExchangeID is by what a device knows which probe belongs to whom.
	ExchangeID [8]byte
)

// Probe is what one says.
type Probe struct {
	Type Type
	Tx   Transaction
	// Seen is, in a pong, where the ping came from.
	Seen netip.AddrPort
}

// Exchange seals and opens the probes that follow from one introduction. It may
// be used from any goroutine.
type Exchange struct {
	ID         ExchangeID
	mine, hers cipher.AEAD
}

// NewExchange takes the key of an introduction. lower says whether this device
// has the lower ID of the two.
func NewExchange(key [KeySize]byte, lower bool) *Exchange {
	x := &Exchange{mine: aead(key, "lower"), hers: aead(key, "higher")}
	if !lower {
		x.mine, x.hers = x.hers, x.mine
	}
	copy(x.ID[:], derive(key, "exchange", len(x.ID)))
	return x
}

func derive(key [KeySize]byte, what string, size int) []byte {
	out, err := hkdf.Key(sha256.New, key[:], nil, "earshot probe 1 "+what, size)
	if err != nil {
		panic(err) // the size is right
	}
	return out
}

func aead(key [KeySize]byte, who string) cipher.AEAD {
	block, err := aes.NewCipher(derive(key, who, 16))
	if err != nil {
		panic(err) // the size is right
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the right block size
	}
	return gcm
}

// IDOf returns the exchange that a datagram belongs to, if it looks like a
// probe.
func IDOf(datagram []byte) (ExchangeID, bool) {
	if len(datagram) != Size || [4]byte(datagram) != magic {
		return ExchangeID{}, false
	}
	return ExchangeID(datagram[4:]), true
}

// Append appends the datagram of a probe.
func (x *Exchange) Append(dst []byte, p Probe) []byte {
	var nonce [12]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return x.append(dst, p, nonce)
}

func (x *Exchange) append(dst []byte, p Probe, nonce [12]byte) []byte {
	start := len(dst)
	dst = append(dst, magic[:]...)
	dst = append(dst, x.ID[:]...)
	dst = append(dst, nonce[:]...)
	body := make([]byte, 0, bodySize)
	body = append(body, byte(p.Type), 0)
	body = append(body, p.Tx[:]...)
	var addr [16]byte
	if p.Seen.IsValid() {
		addr = p.Seen.Addr().As16()
	}
	body = append(body, addr[:]...)
	body = binary.BigEndian.AppendUint16(body, p.Seen.Port())
	return x.mine.Seal(dst, nonce[:], body, dst[start:start+headerSize])
}

// Open reads a probe of the other device. The error is ErrProbe.
func (x *Exchange) Open(datagram []byte) (Probe, error) {
	if id, ok := IDOf(datagram); !ok || id != x.ID {
		return Probe{}, ErrProbe
	}
	var space [bodySize]byte
	body, err := x.hers.Open(space[:0], datagram[12:headerSize], datagram[headerSize:], datagram[:headerSize])
	if err != nil {
		return Probe{}, ErrProbe
	}
	p := Probe{Type: Type(body[0]), Tx: Transaction(body[2:])}
	if p.Type != Ping && p.Type != Pong {
		return Probe{}, ErrProbe
	}
	if p.Type == Pong {
		p.Seen = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[10:])).Unmap(), binary.BigEndian.Uint16(body[26:]))
	}
	return p, nil
}

// NewTransaction returns a random one.
func NewTransaction() (t Transaction) {
	_, _ = rand.Read(t[:]) // never fails
	return t
}
