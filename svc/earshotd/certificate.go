package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"earshot/protocol/identity"
	"earshot/svc/config"
)

// certificates is what the coordinator shows of itself: a configured
// certificate, or one of its own key.
type certificates struct {
	key func() identity.Key
	log *slog.Logger

	mu            sync.Mutex
	file, keyFile string // empty for none
	shown         *tls.Certificate
	of            identity.PublicKey // the key that shown is of, if it is of a key
	stamps        string             // of the files, as they were when they were read last
}

// get returns the certificate for a handshake. Files that have changed are read
// again; if they can't be, what was good goes on being shown.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == "" {
		if key := c.key(); c.shown == nil || key.Public() != c.of {
			certificate := key.Certificate()
			c.shown, c.of = &certificate, key.Public()
		}
		return c.shown, nil
	}
	stamps := stamp(c.file) + stamp(c.keyFile)
	if stamps == c.stamps && c.shown != nil {
		return c.shown, nil
	}
	certificate, err := config.LoadCertificate(c.file, c.keyFile)
	switch {
	case err == nil:
		if c.shown != nil {
			c.log.Info("the certificate has changed and was read again", "file", c.file)
		}
		c.shown = certificate
	case c.shown == nil:
		return nil, err
	default:
		// Once for each change: the other file may be on its way.
		c.log.Warn("the certificate has changed and can't be read; the one before is shown", "error", err)
	}
	c.stamps = stamps
	return c.shown, nil
}

// use changes which files are read.
func (c *certificates) use(file, keyFile string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != file || c.keyFile != keyFile {
		c.file, c.keyFile, c.shown, c.stamps = file, keyFile, nil, ""
	}
}

// stamp tells one content of a file from another.
func stamp(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(info.ModTime().UnixNano(), info.Size(), ";")
}

// fingerprint is that of the certificate that is shown.
func (c *certificates) fingerprint() (identity.ID, error) {
	certificate, err := c.get(nil)
	if err != nil {
		return identity.ID{}, err
	}
	if certificate.Leaf == nil {
		return c.key().Public().ID(), nil
	}
	return identity.Fingerprint(certificate.Leaf), nil
}
