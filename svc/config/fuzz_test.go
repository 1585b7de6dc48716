package config

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"earshot/protocol/identity"
)

// FuzzParse reads whatever may stand in the configuration: it is refused with a
// sentence that names the file, or says the same when it is written anew.
func FuzzParse(f *testing.F) {
	full := Defaults()
	full.TrustedNetworks = []string{"10.0.0.0/8", "fd00::/8"}
	full.Certificate, full.CertificateKey, full.PublicHost = "a.pem", "b.pem", "chat.example"
	written, err := toml.Marshal(full)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{Example, string(written)} {
		c := Defaults()
		if err := c.parse("seed", seed); err != nil {
			f.Fatalf("the seed: %v", err)
		}
		if _, err := c.Coordinator(); err != nil {
			f.Fatalf("the seed: %v", err)
		}
		f.Add(seed)
	}
	f.Add("[limits]\nmax_users = -1\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := Defaults()
		if err := c.parse("the-file", text); err != nil {
			if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "the-file") {
				t.Fatal(err)
			}
			return
		}
		if _, err := c.Policy(); err != nil && !errors.Is(err, ErrConfig) {
			t.Fatal(err)
		}
		c.Listen, c.WebListen = "127.0.0.1:1", "" // any other host would be looked up
		if out, err := c.Coordinator(); err == nil {
			if len(out.TrustedNetworks) != len(c.TrustedNetworks) || out.Limits.MaxUsers <= 0 {
				t.Fatalf("%+v comes to %+v", c, out)
			}
		} else if !errors.Is(err, ErrConfig) {
			t.Fatal(err)
		}
	})
}

// FuzzLink makes links of whatever an administrator takes for a host: a client
// reads from each what was meant.
func FuzzLink(f *testing.F) {
	fingerprint := identity.NewKey().Public().ID()
	c := Config{Listen: "127.0.0.1:5"}
	for _, host := range []string{"chat.example", "chat.example:4000", "192.0.2.1", "[2001:db8::7]:1", "2001:db8::7"} {
		if _, err := c.Link(host, "own", fingerprint); err != nil {
			f.Fatalf("the seed %s: %v", host, err)
		}
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		link, err := c.Link(host, "own", fingerprint)
		if err != nil {
			if !errors.Is(err, ErrConfig) {
				t.Fatal(err)
			}
			return
		}
		if got, err := identity.ParseLink(link.String()); err != nil || got != link {
			t.Fatalf("%q makes %v, which reads as %+v, %v", host, link, got, err)
		}
	})
}

// FuzzParseListen reads addresses to listen on; hosts that would be looked up
// are left out.
func FuzzParseListen(f *testing.F) {
	for _, text := range []string{":13277", "192.168.1.10", "192.168.1.10:1", "[2001:db8::7]:9", "2001:db8::7", "[::]:5"} {
		if _, err := ParseListen(text); err != nil {
			f.Fatalf("the seed %s: %v", text, err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, _, err := net.SplitHostPort(text)
		if err != nil && !strings.Contains(text, ":") {
			host = text
		}
		if _, err := netip.ParseAddr(host); err != nil && host != "" {
			return
		}
		listen, err := ParseListen(text)
		if err != nil {
			if !errors.Is(err, ErrConfig) {
				t.Fatal(err)
			}
			return
		}
		if again, err := ParseListen(listen.String()); err != nil || again != listen {
			t.Fatalf("%q reads as %v, and that as %v, %v", text, listen, again, err)
		}
	})
}
