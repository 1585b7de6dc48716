package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"

	"earshot/protocol/identity"
	"earshot/svc/engine"
)

// Policy returns who may have an account.
func (c Config) Policy() (engine.Policy, error) {
	p, err := engine.ParsePolicy(c.Registration)
	if err != nil {
		return p, fmt.Errorf("%w: registration is %q; write open, invite or approve", ErrConfig, c.Registration)
	}
	return p, nil
}

// CheckCertificate reads the files of the certificate, if there is one.
func (c Config) CheckCertificate() error {
	if c.Certificate == "" && c.CertificateKey == "" {
		return nil
	}
	if c.Certificate == "" || c.CertificateKey == "" {
		return fmt.Errorf("%w: certificate and certificate_key belong together, and only one of them is set", ErrConfig)
	}
	_, err := LoadCertificate(c.Certificate, c.CertificateKey)
	return err
}

// LoadCertificate reads a certificate, with those that sign it, and its key. Its
// Leaf is set.
func LoadCertificate(file, keyFile string) (*tls.Certificate, error) {
	certificate, err := tls.LoadX509KeyPair(file, keyFile)
	if err != nil {
		return nil, fmt.Errorf("%w: the certificate in %s with the key in %s: %w", ErrConfig, file, keyFile, err)
	}
	return &certificate, nil
}

// Link returns what people name as their server: host as it is written, or
// public_host, or else own, the computer's name. A host may have a port; it is
// otherwise the one that is listened on.
func (c Config) Link(host, own string, fingerprint identity.ID) (identity.Link, error) {
	listen, err := ParseListen(c.Listen)
	if err != nil {
		return identity.Link{}, err
	}
	written := host
	for _, next := range []string{c.PublicHost, own} {
		if written == "" {
			written = next
		}
	}
	link := identity.Link{Host: strings.Trim(written, "[]"), Port: listen.Port(), Fingerprint: fingerprint}
	if name, port, err := net.SplitHostPort(written); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return link, hostError(written)
		}
		link.Host, link.Port = name, uint16(n)
	}
	// It must be read as what was meant.
	if got, err := identity.ParseLink(link.String()); err != nil || got != link {
		return link, hostError(written)
	}
	return link, nil
}

func hostError(written string) error {
	return fmt.Errorf("%w: %q is no host for a link; write HOST or HOST:PORT, such as \"chat.example.com\", for public_host or --host", ErrConfig, written)
}
