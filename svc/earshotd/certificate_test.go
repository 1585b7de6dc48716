package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"earshot/protocol/identity"
)

// writeCertificate writes a certificate of a new key, and returns its
// fingerprint.
func writeCertificate(t *testing.T, file, keyFile string) identity.ID {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "chat.example.com"}, DNSNames: []string{"chat.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{file: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return identity.Fingerprint(leaf)
}

// A configured certificate is read again when it changes, and one that can't be
// read doesn't take the place of one that could.
func TestCertificateFiles(t *testing.T) {
	dir := t.TempDir()
	file, keyFile := filepath.Join(dir, "a.pem"), filepath.Join(dir, "b.pem")
	var log strings.Builder
	c := &certificates{file: file, keyFile: keyFile, log: slog.New(slog.NewTextHandler(&log, nil))}
	if _, err := c.fingerprint(); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("without files: %v", err)
	}
	check := func(want identity.ID) {
		t.Helper()
		for range 2 {
			if got, err := c.fingerprint(); err != nil || got != want {
				t.Errorf("it shows %v, %v; not %v", got, err, want)
			}
		}
	}
	first := writeCertificate(t, file, keyFile)
	check(first)
	later := func() { // a clock's next tick, for a coarse one
		t.Helper()
		for _, path := range []string{file, keyFile} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Time{}, info.ModTime().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The certificate is renewed, its key is still on its way.
	otherKey := filepath.Join(dir, "c.pem")
	second := writeCertificate(t, file, otherKey)
	later()
	check(first)
	if n := strings.Count(log.String(), "can't be read"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, log.String())
	}
	if err := os.Rename(otherKey, keyFile); err != nil {
		t.Fatal(err)
	}
	later()
	check(second)
}

// Without files it is a certificate of the coordinator's key, which a restore
// can change.
func TestOwnCertificate(t *testing.T) {
	key := identity.NewKey()
	c := &certificates{key: func() identity.Key { return key }}
	for range 2 {
		certificate, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(certificate.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.fingerprint(); err != nil || got != key.Public().ID() || identity.Fingerprint(leaf) != got {
			t.Errorf("%v, %v", got, err)
		}
		key = identity.NewKey()
	}
}
