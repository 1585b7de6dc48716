package secure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
)

// authority is a public key infrastructure of one.
type authority struct {
	key   *ecdsa.PrivateKey
	root  *x509.Certificate
	roots *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, roots: x509.NewCertPool()}
	a.root = a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true}, key)
	a.roots.AddCert(a.root)
	return a
}

func (a *authority) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(1)
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent := a.root
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// host returns a certificate for a host's name, of a fresh key.
func (a *authority) host(t *testing.T, name string, until time.Time) tls.ConnectionState {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := a.sign(t, &x509.Certificate{DNSNames: []string{name}, NotAfter: until}, key)
	return tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}
}

func selfSigned(t *testing.T, key identity.Key) tls.ConnectionState {
	t.Helper()
	c, err := x509.ParseCertificate(key.Certificate().Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}
}

func TestJudge(t *testing.T) {
	pki, other := newAuthority(t), newAuthority(t)
	own, forger := identity.NewKey(), identity.NewKey()
	ownID, forgerID := own.Public().ID(), forger.Public().ID()
	public := pki.host(t, "chat.example", time.Time{})
	renewed := pki.host(t, "chat.example", time.Time{})
	publicID := identity.Fingerprint(public.PeerCertificates[0])
	webPKI := Pin{Fingerprint: publicID, WebPKI: true}
	for name, c := range map[string]struct {
		state    tls.ConnectionState
		expected identity.ID
		known    Pin
		met      bool

		firstUse, webPKI, refused bool
	}{
		"no certificate":                      {refused: true},
		"first use":                           {state: selfSigned(t, own), firstUse: true},
		"the link's":                          {state: selfSigned(t, own), expected: ownID},
		"not the link's":                      {state: selfSigned(t, forger), expected: ownID, refused: true},
		"the link goes before a pin":          {state: selfSigned(t, own), expected: ownID, known: Pin{Fingerprint: forgerID}, met: true},
		"the pinned one":                      {state: selfSigned(t, own), known: Pin{Fingerprint: ownID}, met: true},
		"not the pinned one":                  {state: selfSigned(t, forger), known: Pin{Fingerprint: ownID}, met: true, refused: true},
		"public, first":                       {state: public, webPKI: true},
		"public, renewed":                     {state: renewed, known: webPKI, met: true, webPKI: true},
		"public, after a pin of another":      {state: public, known: Pin{Fingerprint: ownID}, met: true, refused: true},
		"public, of an unknown authority":     {state: other.host(t, "chat.example", time.Time{}), known: webPKI, met: true, refused: true},
		"public, for another host":            {state: pki.host(t, "other.example", time.Time{}), known: webPKI, met: true, refused: true},
		"public, expired":                     {state: pki.host(t, "chat.example", time.Now().Add(-time.Minute)), known: webPKI, met: true, refused: true},
		"public, then a key without vouching": {state: selfSigned(t, forger), known: webPKI, met: true, refused: true},
		"another host's is a first use":       {state: pki.host(t, "other.example", time.Time{}), firstUse: true},
	} {
		pin, firstUse, err := judge(c.state, "chat.example", c.expected, c.known, c.met, pki.roots)
		if c.refused {
			if !errors.Is(err, p2p.ErrIdentity) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || firstUse != c.firstUse || pin.WebPKI != c.webPKI {
			t.Errorf("%s: %+v, first use %v, %v", name, pin, firstUse, err)
		}
		if want := identity.Fingerprint(c.state.PeerCertificates[0]); pin.Fingerprint != want {
			t.Errorf("%s: pinned %v", name, pin.Fingerprint)
		}
	}
	_, _, err := judge(selfSigned(t, forger), "chat.example", ownID, Pin{}, false, pki.roots)
	for _, want := range []string{"chat.example", ownID.String(), forgerID.String()} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}
