package identity

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// PublicKey is a device's Ed25519 key (RFC 8032). It is comparable.
type PublicKey [ed25519.PublicKeySize]byte

// ErrKey is bytes that are no key.
var ErrKey = fmt.Errorf("%w: this is not a device key", ErrIdentity)

// ParsePublicKey takes the 32 bytes of a key.
func ParsePublicKey(b []byte) (PublicKey, error) {
	if len(b) != len(PublicKey{}) {
		return PublicKey{}, ErrKey
	}
	return PublicKey(b), nil
}

// spkiPrefix is what stands before the 32 bytes of a key in its
// SubjectPublicKeyInfo (RFC 8410, 4).
const spkiPrefix = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"

// ID returns the key's ID, which is what people see of it.
func (k PublicKey) ID() ID {
	var spki [len(spkiPrefix) + len(k)]byte
	copy(spki[copy(spki[:], spkiPrefix):], k[:])
	return sha256.Sum256(spki[:])
}

// String returns the spelling of the key's ID.
func (k PublicKey) String() string { return k.ID().String() }

// Key is a device's secret key. Neither it nor a part of it is ever logged.
// Keys are compared by their public halves. The zero Key is none.
type Key struct {
	// A function, because fmt calls no String below an unexported field of
	// somebody else's struct, but prints every function as an address.
	private func() ed25519.PrivateKey
}

func newKey(private ed25519.PrivateKey) Key {
	return Key{func() ed25519.PrivateKey { return private }}
}

// NewKey makes a key.
func NewKey() Key {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // the system's randomness never fails
	}
	return newKey(private)
}

// IsZero says whether there is no key.
func (k Key) IsZero() bool { return k.private == nil }

// Public returns the key's public half.
func (k Key) Public() PublicKey { return PublicKey(k.private().Public().(ed25519.PublicKey)) }

// String keeps the secret out of logs.
func (k Key) String() string {
	if k.IsZero() {
		return "no secret key"
	}
	return "secret key of " + k.Public().String()
}

// GoString keeps the secret out of logs, too.
func (k Key) GoString() string { return k.String() }

// Secret derives a secret for one purpose (HKDF, RFC 5869), which says nothing
// of the key.
func (k Key) Secret(purpose string) (secret [32]byte) {
	b, err := hkdf.Key(sha256.New, k.private().Seed(), nil, "earshot secret: "+purpose, len(secret))
	if err != nil {
		panic(err) // the length is right
	}
	return [32]byte(b)
}

const keyBlock = "PRIVATE KEY"

// MarshalPEM returns the key as PKCS #8 in PEM (RFC 5958, RFC 7468).
func (k Key) MarshalPEM() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k.private())
	if err != nil {
		panic(err) // an Ed25519 key can always be marshalled
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der})
}

// ParseKey reads what MarshalPEM wrote. There must be one key and nothing
// behind it, so that nobody is in doubt about which one counts.
func ParseKey(text []byte) (Key, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != keyBlock {
		return Key{}, fmt.Errorf("%w: no PEM block of a private key", ErrKey)
	}
	if strings.TrimSpace(string(rest)) != "" {
		return Key{}, fmt.Errorf("%w: there is something behind the key", ErrKey)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Key{}, fmt.Errorf("%w: it is no Ed25519 key", ErrKey)
	}
	return newKey(private), nil
}
