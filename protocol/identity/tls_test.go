package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"earshot/protocol/identity"
)

// TestCertificateFacts also holds that one is valid in fake time, which begins
// in the year 2000, and on a machine whose clock is wrong.
func TestCertificateFacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := key8410(t)
		certificate, err := x509.ParseCertificate(k.Certificate().Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if certificate.PublicKeyAlgorithm != x509.Ed25519 || certificate.Subject.CommonName != "earshot" || certificate.IsCA {
			t.Errorf("a %v certificate of %v", certificate.PublicKeyAlgorithm, certificate.Subject)
		}
		if err := certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature); err != nil {
			t.Errorf("it is not signed by itself: %v", err)
		}
		if now := time.Now(); now.Year() != 2000 || certificate.NotBefore.After(now) || certificate.NotAfter.Before(now) {
			t.Errorf("valid from %v to %v, and it is %v", certificate.NotBefore, certificate.NotAfter, now)
		}
		if from, to := certificate.NotBefore.UTC().Format(time.DateTime), certificate.NotAfter.UTC().Format(time.DateTime); from != "1970-01-01 00:00:00" || to != "9999-12-31 23:59:59" {
			t.Errorf("valid from %v to %v", from, to)
		}
	})
}

// connection is one of TCP: a pipe, which has no room, would have who refuses wait
// for whom it refuses, and the other way round.
func connection(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// handshake is one after which each side writes a byte and reads one, so that it
// hears of the other's refusal.
func handshake(t *testing.T, server, client *tls.Config) (s, c tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	a, b := connection(t)
	side := func(conn *tls.Conn) (tls.ConnectionState, error) {
		defer conn.NetConn().Close()
		if err := conn.HandshakeContext(t.Context()); err != nil {
			return tls.ConnectionState{}, err
		}
		written := make(chan error, 1)
		go func() {
			_, err := conn.Write([]byte{7})
			written <- err
		}()
		var b [1]byte
		_, err := io.ReadFull(conn, b[:])
		if err != nil {
			conn.NetConn().Close() // so that the writer comes back
		}
		return conn.ConnectionState(), errors.Join(err, <-written)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s, serverErr = side(tls.Server(a, server))
	}()
	c, clientErr = side(tls.Client(b, client))
	<-done
	return s, c, serverErr, clientErr
}

// foreign is a self-signed certificate of a key that is no device's.
func foreign(t *testing.T, key crypto.Signer) tls.Certificate {
	t.Helper()
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestHandshakes(t *testing.T) {
	ann, bo, eve := identity.NewKey(), identity.NewKey(), identity.NewKey()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// The certificate is Bo's, and the key behind it another one.
	stolen := tls.Certificate{Certificate: bo.Certificate().Certificate, PrivateKey: ed25519.NewKeyFromSeed(make([]byte, 32))}

	server := func(k identity.Key, verify func(identity.PublicKey) error) *tls.Config {
		return identity.ServerTLS(k.Certificate(), identity.ALPNPeer, verify)
	}
	client := func(k identity.Key, verify func(identity.PublicKey) error) *tls.Config {
		return identity.ClientTLS(k.Certificate(), identity.ALPNPeer, verify)
	}
	with := func(c *tls.Config, change func(*tls.Config)) *tls.Config {
		change(c)
		return c
	}
	expectAnn, expectBo := identity.Expect(ann.Public()), identity.Expect(bo.Public())

	for _, test := range []struct {
		name           string
		server, client *tls.Config
		// who must notice; nobody means the handshake succeeds
		who  string
		says string
	}{
		{"expected on both sides", server(ann, expectBo), client(bo, expectAnn), "", ""},
		{"anybody on both sides", server(ann, nil), client(bo, nil), "", ""},
		{"an unexpected client", server(ann, expectBo), client(eve, expectAnn), "server", "not the expected"},
		{"an unexpected server", server(eve, expectBo), client(bo, expectAnn), "client", "not the expected"},
		{"no client certificate", server(ann, nil), with(client(bo, expectAnn), func(c *tls.Config) { c.Certificates = nil }), "server", "certificate"},
		{"an RSA client", server(ann, nil), with(client(bo, expectAnn), func(c *tls.Config) { c.Certificates[0] = foreign(t, rsaKey) }), "server", "another kind"},
		{"an ECDSA client", server(ann, nil), with(client(bo, expectAnn), func(c *tls.Config) { c.Certificates[0] = foreign(t, ecKey) }), "server", "another kind"},
		{"an RSA server", with(server(ann, nil), func(c *tls.Config) { c.Certificates[0] = foreign(t, rsaKey) }), client(bo, nil), "client", "another kind"},
		{"a stolen certificate at the client", server(ann, expectBo), with(client(bo, expectAnn), func(c *tls.Config) { c.Certificates[0] = stolen }), "server", "signature"},
		{"a stolen certificate at the server", with(server(bo, nil), func(c *tls.Config) { c.Certificates[0] = stolen }), client(ann, expectBo), "client", "signature"},
		{"another protocol", server(ann, nil), with(client(bo, nil), func(c *tls.Config) { c.NextProtos = []string{identity.ALPNControl} }), "server", "protocol"},
		{"a client without protocol", server(ann, nil), with(client(bo, nil), func(c *tls.Config) { c.NextProtos = nil; c.VerifyConnection = nil }), "server", "protocol"},
		{"a server without protocol", with(server(ann, nil), func(c *tls.Config) { c.NextProtos = nil; c.VerifyConnection = nil }), client(bo, nil), "client", "protocol"},
		{"an old client", server(ann, nil), with(client(bo, nil), func(c *tls.Config) { c.MinVersion, c.MaxVersion = 0, tls.VersionTLS12 }), "server", "version"},
		{"an old server", with(server(ann, nil), func(c *tls.Config) { c.MinVersion, c.MaxVersion = 0, tls.VersionTLS12 }), client(bo, nil), "client", "version"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, c, serverErr, clientErr := handshake(t, test.server, test.client)
			switch test.who {
			case "":
				if serverErr != nil || clientErr != nil {
					t.Fatalf("server: %v, client: %v", serverErr, clientErr)
				}
				atServer, err1 := identity.PeerKey(s)
				atClient, err2 := identity.PeerKey(c)
				if err1 != nil || err2 != nil || atServer != bo.Public() || atClient != ann.Public() {
					t.Errorf("the server sees %v, %v and the client %v, %v", atServer, err1, atClient, err2)
				}
				if s.Version != tls.VersionTLS13 || s.DidResume || s.CurveID != tls.X25519MLKEM768 {
					t.Errorf("version %x, resumed %v, by %v", s.Version, s.DidResume, s.CurveID)
				}
			case "server":
				if serverErr == nil || clientErr == nil || !strings.Contains(serverErr.Error(), test.says) {
					t.Errorf("server: %v, client: %v", serverErr, clientErr)
				}
			case "client":
				if serverErr == nil || clientErr == nil || !strings.Contains(clientErr.Error(), test.says) {
					t.Errorf("server: %v, client: %v", serverErr, clientErr)
				}
			}
		})
	}
}

// TestConnectionsAreNotResumed: a resumed one would not prove the key again.
func TestConnectionsAreNotResumed(t *testing.T) {
	ann, bo := identity.NewKey(), identity.NewKey()
	server := identity.ServerTLS(ann.Certificate(), identity.ALPNPeer, nil)
	client := identity.ClientTLS(bo.Certificate(), identity.ALPNPeer, nil)
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	client.ServerName = "ann"
	for range 2 {
		s, _, serverErr, clientErr := handshake(t, server, client)
		if serverErr != nil || clientErr != nil || s.DidResume {
			t.Fatalf("resumed %v; server: %v, client: %v", s.DidResume, serverErr, clientErr)
		}
	}
}

func TestRefusedPeersAreOfTheFamily(t *testing.T) {
	for _, err := range []error{
		identity.Expect(identity.NewKey().Public())(identity.NewKey().Public()),
		func() error { _, err := identity.PeerKey(tls.ConnectionState{}); return err }(),
		func() error { _, err := identity.PeerKey(tls.ConnectionState{NegotiatedProtocol: "x"}); return err }(),
	} {
		if !errors.Is(err, identity.ErrPeer) || !errors.Is(err, identity.ErrIdentity) {
			t.Errorf("%v", err)
		}
	}
}
