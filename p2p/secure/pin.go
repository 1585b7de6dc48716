package secure

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"earshot/p2p"
	"earshot/protocol/identity"
)

// Pin is how a coordinator was recognised, and will be from then on.
type Pin struct {
	// Fingerprint is its key's. With WebPKI it may change, as certificates are
	// renewed.
	Fingerprint identity.ID
	// WebPKI says that its certificate is one of the public infrastructure's
	// for the host's name, and that only such a one will do.
	WebPKI bool
}

// Pins keeps the pin of one coordinator, durably. Both methods may be called
// from any goroutine.
type Pins interface {
	// Load returns the pin; false is a coordinator that was never met.
	Load() (Pin, bool)
	Save(Pin) error
}

// judge decides whether the coordinator at the other end of a connection is the
// expected one, and returns the pin that results. firstUse says that it is
// believed only because it is the first one met. A fingerprint that the person
// gave (expected) decides alone.
func judge(state tls.ConnectionState, host string, expected identity.ID, known Pin, met bool, roots *x509.CertPool) (pin Pin, firstUse bool, err error) {
	if len(state.PeerCertificates) == 0 {
		return Pin{}, false, fmt.Errorf("%w: it shows no certificate", p2p.ErrIdentity)
	}
	leaf := state.PeerCertificates[0]
	got := Pin{Fingerprint: identity.Fingerprint(leaf)}
	switch {
	case expected != identity.ID{}:
		if got.Fingerprint != expected {
			return Pin{}, false, stranger(host, expected, got.Fingerprint)
		}
		return got, false, nil
	case met && !known.WebPKI:
		if got.Fingerprint != known.Fingerprint {
			return Pin{}, false, stranger(host, known.Fingerprint, got.Fingerprint)
		}
		return got, false, nil
	}
	got.WebPKI = vouched(state.PeerCertificates, host, roots)
	if met && !got.WebPKI {
		return Pin{}, false, fmt.Errorf("%w: the certificate of %s is not valid any more, or not for this name", p2p.ErrIdentity, host)
	}
	return got, !got.WebPKI, nil
}

func stranger(host string, expected, got identity.ID) error {
	return fmt.Errorf("%w: %s has the fingerprint %v instead of %v; ask its administrator for a new link, and use nothing else until then",
		p2p.ErrIdentity, host, got, expected)
}

// vouched says whether the public key infrastructure vouches for the host.
func vouched(chain []*x509.Certificate, host string, roots *x509.CertPool) bool {
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: host, Intermediates: intermediates, Roots: roots})
	return err == nil
}
