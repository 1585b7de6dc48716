package identity

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
)

// An endorsement is one device's signature that another one belongs to the same
// account. It covers
//
//	"earshot endorsement 1" 00 | account's name key, UTF-8 | 00 | the new device's key, 32 bytes
const endorsementContext = "earshot endorsement 1\x00"

// ErrEndorsement is a signature that doesn't endorse.
var ErrEndorsement = fmt.Errorf("%w: the endorsement is not valid", ErrIdentity)

func endorsed(account string, device PublicKey) []byte {
	return append([]byte(endorsementContext+account+"\x00"), device[:]...)
}

// Endorse signs that device belongs to the account, given by its name key
// (classic.NameKey).
func (k Key) Endorse(account string, device PublicKey) []byte {
	return ed25519.Sign(k.private(), endorsed(account, device))
}

// VerifyEndorsement checks what Endorse returned for the device that signed.
func VerifyEndorsement(by PublicKey, account string, device PublicKey, signature []byte) error {
	if !ed25519.Verify(by[:], endorsed(account, device), signature) {
		return ErrEndorsement
	}
	return nil
}

// JoinCode is what one device of an account shows and a new one is told, so
// that the new one can join: 80 random bits in 16 characters. The coordinator
// carries only a proof made with it, and so can't put a device of its own in
// the new one's place.
type JoinCode [10]byte

// ErrJoinCode is a spelling that is no code.
var ErrJoinCode = fmt.Errorf("%w: this is not a code of another device; such a code has 16 letters and digits", ErrIdentity)

// NewJoinCode makes a code.
func NewJoinCode() (c JoinCode) {
	_, _ = rand.Read(c[:]) // never fails
	return c
}

// String spells the code, such as "K7QX-2MFB-4TYA-QW3E".
func (c JoinCode) String() string {
	plain := base.EncodeToString(c[:])
	return strings.Join([]string{plain[:4], plain[4:8], plain[8:12], plain[12:]}, "-")
}

// ParseJoinCode reads a spelling, as leniently as ParseID.
func ParseJoinCode(text string) (JoinCode, error) {
	plain := canonical(text)
	b, err := base.DecodeString(plain)
	// The decoder skips some characters, and a code has none to spare.
	if err != nil || len(b) != len(JoinCode{}) || base.EncodeToString(b) != plain {
		return JoinCode{}, ErrJoinCode
	}
	return JoinCode(b), nil
}

// Proof is the new device's proof that it knows the code: HMAC-SHA-256, keyed
// with the code, of
//
//	"earshot join 1" 00 | account's name key, UTF-8 | 00 | the new device's key, 32 bytes
func (c JoinCode) Proof(account string, device PublicKey) []byte {
	mac := hmac.New(sha256.New, c[:])
	mac.Write([]byte("earshot join 1\x00" + account + "\x00"))
	mac.Write(device[:])
	return mac.Sum(nil)
}

// Verify checks a Proof.
func (c JoinCode) Verify(account string, device PublicKey, proof []byte) bool {
	return hmac.Equal(c.Proof(account, device), proof)
}
