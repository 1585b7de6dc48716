package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

// The protocols of ALPN (RFC 7301).
const (
	ALPNControl = "earshot/1"
	ALPNPeer    = "earshot-peer/1"
	ALPNRelay   = "earshot-relay/1"
	// ALPNCheck is for who wants to know whether a coordinator is well: it ends
	// the connection once it has looked.
	ALPNCheck = "earshot-check/1"
)

// ErrPeer is a certificate that is not a device's, or not the expected one's.
var ErrPeer = fmt.Errorf("%w: the other side", ErrIdentity)

// Certificate returns a self-signed certificate of the key. It says nothing but
// the key, and never expires: who a key belongs to is said elsewhere.
func (k Key) Certificate() tls.Certificate {
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "earshot"},
		// RFC 5280, 4.1.2.5: the last second that can be written is for
		// certificates without an end.
		NotBefore: time.Unix(0, 0),
		NotAfter:  time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, k.private().Public(), k.private())
	if err != nil {
		panic(err) // the template is right and the key is Ed25519
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k.private()}
}

// ServerTLS is a configuration for accepting other devices: TLS 1.3 without
// resumption, so that each connection proves the key, and a certificate is
// demanded. verify decides about the device; nil admits every one, and leaves
// the decision to whoever asks PeerKey.
func ServerTLS(certificate tls.Certificate, alpn string, verify func(PublicKey) error) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{certificate},
		ClientAuth:             tls.RequireAnyClientCert,
		NextProtos:             []string{alpn},
		SessionTicketsDisabled: true,
		VerifyConnection:       verifyDevice(verify),
	}
}

// Resumable lets a configuration of ServerTLS give its clients tickets (RFC 8446,
// 2.2), with which they are back without either side proving its key again: the
// ticket is good only together with a secret of the connection on which both
// have. Every connection has fresh keys of its own all the same. Tickets are given
// by the first of the secrets, and taken by all; who has one can read its tickets.
// With the same secrets, tickets outlive a restart. They are good for a week.
func Resumable(config *tls.Config, secrets [][32]byte) {
	config.SessionTicketsDisabled = false
	config.SetSessionTicketKeys(secrets)
}

// ErrTicket is a server that doesn't take a ticket any more. Nothing was said on
// the connection yet, and the next one goes without.
var ErrTicket = fmt.Errorf("%w does not take its ticket any more", ErrPeer)

// Resuming lets a configuration of ClientTLS keep the tickets of a Resumable
// server, and use the one that there is for config.ServerName, which must be set.
// With one, keys are exchanged by P-256, at two fifths of the usual price: all of
// them come from the ticket's secret, too (RFC 8446, 7.1), so who can break P-256
// one day must also have broken the connection that gave the ticket, or have the
// server's secret. If the server doesn't take the ticket, nothing but P-256 would
// count, and the connection ends in ErrTicket. Call it for each connection anew,
// when all else in config is set.
func Resuming(config *tls.Config, tickets tls.ClientSessionCache) {
	config.ClientSessionCache = tickets
	if _, has := tickets.Get(config.ServerName); !has {
		return
	}
	config.CurvePreferences = []tls.CurveID{tls.CurveP256}
	verify := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if !state.DidResume {
			return ErrTicket // which has package tls drop it
		}
		return verify(state)
	}
}

// ClientTLS is a configuration for connecting to the device with the expected
// key, or to whichever device verify admits.
func ClientTLS(certificate tls.Certificate, alpn string, verify func(PublicKey) error) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{certificate},
		NextProtos:   []string{alpn},
		// Devices have no names that a certificate could hold; what is
		// verified instead is the key itself.
		InsecureSkipVerify: true,
		VerifyConnection:   verifyDevice(verify),
	}
}

// Expect admits one key.
func Expect(key PublicKey) func(PublicKey) error {
	return func(got PublicKey) error {
		if got != key {
			return fmt.Errorf("%w has the key %v, not the expected %v", ErrPeer, got.ID().Short(), key.ID().Short())
		}
		return nil
	}
}

func verifyDevice(verify func(PublicKey) error) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		key, err := PeerKey(state)
		if err != nil || verify == nil {
			return err
		}
		return verify(key)
	}
}

// PeerKey returns the key by which the other side of a connection has proved
// itself. It must be a device's.
func PeerKey(state tls.ConnectionState) (PublicKey, error) {
	if state.NegotiatedProtocol == "" {
		return PublicKey{}, fmt.Errorf("%w speaks no protocol of ours", ErrPeer)
	}
	if len(state.PeerCertificates) == 0 {
		return PublicKey{}, fmt.Errorf("%w showed no certificate", ErrPeer)
	}
	key, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return PublicKey{}, fmt.Errorf("%w has a key of another kind than Ed25519", ErrPeer)
	}
	return PublicKey(key), nil
}

// Fingerprint returns the ID of a certificate's key, of whatever kind it is.
func Fingerprint(certificate *x509.Certificate) ID {
	return sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
}
