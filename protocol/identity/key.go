package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
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

// ID returns the key's ID, which is what people see of it.
func (k PublicKey) ID() ID {
	spki, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(k[:]))
	if err != nil {
		panic(err) // an Ed25519 key can always be marshalled
	}
	return sha256.Sum256(spki)
}

// String returns the spelling of the key's ID.
func (k PublicKey) String() string { return k.ID().String() }

// Key is a device's secret key. Neither it nor a part of it is ever logged.
type Key struct{ private ed25519.PrivateKey }

// NewKey makes a key.
func NewKey() Key {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // the system's randomness never fails
	}
	return Key{private}
}

// Public returns the key's public half.
func (k Key) Public() PublicKey { return PublicKey(k.private.Public().(ed25519.PublicKey)) }

// String keeps the secret out of logs.
func (k Key) String() string { return "secret key of " + k.Public().String() }

const keyBlock = "PRIVATE KEY"

// MarshalPEM returns the key as PKCS #8 in PEM (RFC 5958, RFC 7468).
func (k Key) MarshalPEM() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		panic(err) // an Ed25519 key can always be marshalled
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der})
}

// ParseKey reads what MarshalPEM wrote.
func ParseKey(text []byte) (Key, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != keyBlock {
		return Key{}, fmt.Errorf("%w: no PEM block of a private key", ErrKey)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Key{}, fmt.Errorf("%w: it is no Ed25519 key", ErrKey)
	}
	return Key{private}, nil
}
