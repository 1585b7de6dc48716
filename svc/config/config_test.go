package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"earshot/protocol/identity"
)

func noEnv(string) string { return "" }

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "earshotd.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The shipped example holds every key, each with its default.
func TestExample(t *testing.T) {
	// A value that the file does not set would stay as it is here.
	c := Config{Data: Defaults().Data}
	if err := c.parse("example", Example); err != nil {
		t.Fatal(err)
	}
	want := Defaults()
	want.TrustedNetworks = []string{}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the example says\n%+v\nand the defaults are\n%+v", c, want)
	}
	if !strings.Contains(Example, "# data = ") {
		t.Error("the example does not explain data")
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for text, want := range map[string][]string{
		"listen = ':1'\n\nlisen = ':2'\n":    {"line 3", "lisen"},
		"[limits]\nmax_user = 1\n":           {"line 2", "limits.max_user"},
		"\nlisten = 5\n":                     {"line 2"},
		"listen = \n":                        {"line 1"},
		"trusted_networks = ['10.0.0.0/99']": {"trusted_networks", "10.0.0.0/99"},
		"listen = 'a:b:c'":                   {"listen", "HOST:PORT"},
		"[limits]\nmax_users = -5":           {"max_users", "-5"},
		"[limits]\nlogins_per_second = 0":    {"logins_per_second"},
		"listen = ':65534'":                  {"65533"},
		"listen = ':0'":                      {"listen"},
		"listen = ':70000'":                  {"listen"},
		"listen = ':http'":                   {"listen"},
		"web_listen = ':0'":                  {"web_listen", ":443"},
		"web_listen = 'a:b:c'":               {"web_listen", "HOST:PORT"},
		"web_listen = ':13278'":              {"web_listen", "13278", "443"},
		"web_listen = ':1'\nsecure = false":  {"web_listen", "secure"},
		"metrics_listen = '0.0.0.0:1'":       {"metrics_listen", "loopback"},
		"metrics_listen = 'localhost'":       {"metrics_listen"},
		"log_level = 'loud'":                 {"log_level", "debug"},
		"registration = 'closed'":            {"registration", "closed", "approve"},
		"secure = 'yes'":                     {"line 1"},
		"certificate = 'a.pem'":              {"certificate_key", "only one"},
		"certificate = '/no/a.pem'\ncertificate_key = '/no/b.pem'": {"/no/a.pem"},
		"public_host = 'two words'":                                {"public_host", "two words"},
		"public_host = 'host:0'":                                   {"public_host", "host:0"},
		"public_host = 'user@host'":                                {"public_host"},
		"public_host = 'host/path'":                                {"public_host"},
	} {
		c, err := Load(write(t, text), noEnv)
		for _, check := range []func() error{
			func() error { _, err := c.Coordinator(); return err },
			func() error { _, err := c.Metrics(); return err },
			func() error { _, err := c.Level(); return err },
			func() error { _, err := c.Policy(); return err },
			func() error { _, err := c.Link("", "localhost", identity.ID{}); return err },
			c.CheckCertificate,
		} {
			if err == nil {
				err = check()
			}
		}
		if !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q does not name %q", text, err, part)
			}
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none"), noEnv); !errors.Is(err, ErrConfig) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestEnvironmentGoesOverTheFile(t *testing.T) {
	env := map[string]string{
		"EARSHOT_LISTEN": "127.0.0.1", "EARSHOT_MAX_USERS": "7", "EARSHOT_TRUSTED_NETWORKS": "10.0.0.0/8, fd00::/8",
		"EARSHOT_SECURE": "false", "EARSHOT_REGISTRATION": "invite", "EARSHOT_PUBLIC_HOST": "h",
		"EARSHOT_CERTIFICATE": "c", "EARSHOT_CERTIFICATE_KEY": "k",
	}
	c, err := Load(write(t, "listen = ':9'\nlog_level = 'warn'\n[limits]\nmax_users = 3\n"), func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Coordinator()
	if err != nil {
		t.Fatal(err)
	}
	if got.Listen.String() != "127.0.0.1:13277" || got.WebListen.IsValid() || got.Limits.MaxUsers != 7 || len(got.TrustedNetworks) != 2 || c.LogLevel != "warn" {
		t.Errorf("%+v", c)
	}
	if c.Secure || c.Registration != "invite" || c.PublicHost != "h" || c.Certificate != "c" || c.CertificateKey != "k" {
		t.Errorf("%+v", c)
	}
	env["EARSHOT_SECURE"] = ""
	for text, want := range map[string]string{"127.0.0.2": "127.0.0.2:443", "127.0.0.2:9": "127.0.0.2:9", "off": "invalid AddrPort"} {
		env["EARSHOT_WEB_LISTEN"] = text
		c, err := Load(write(t, "listen = ':9'\nweb_listen = ':1'"), func(k string) string { return env[k] })
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Coordinator(); err != nil || got.WebListen.String() != want {
			t.Errorf("%q is %v, %v", text, got.WebListen, err)
		}
	}
	env["EARSHOT_SECURE"] = "perhaps"
	if _, err := Load("", func(k string) string { return env[k] }); !errors.Is(err, ErrConfig) {
		t.Errorf("neither true nor false: %v", err)
	}
	env["EARSHOT_SECURE"], env["EARSHOT_MAX_USERS"] = "", "many"
	if _, err := Load("", func(k string) string { return env[k] }); !errors.Is(err, ErrConfig) {
		t.Errorf("a number that is none: %v", err)
	}
}

func TestPrepareData(t *testing.T) {
	c := Config{Data: filepath.Join(t.TempDir(), "a", "b")}
	if err := c.PrepareData(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(c.Data)
	if err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
	file := write(t, "")
	if err := (Config{Data: file}).PrepareData(); !errors.Is(err, ErrConfig) {
		t.Errorf("a file as data directory: %v", err)
	}
}

func TestLink(t *testing.T) {
	fingerprint := identity.NewKey().Public().ID()
	for _, c := range []struct{ listen, public, host, want string }{
		{":13277", "", "", "earshot://own/#"},
		{":2000", "", "", "earshot://own:2000/#"},
		{":2000", "chat.example.com", "", "earshot://chat.example.com:2000/#"},
		{":2000", "chat.example.com:13277", "", "earshot://chat.example.com/#"},
		{":2000", "chat.example.com:13277", "192.0.2.1:99", "earshot://192.0.2.1:99/#"},
		{"127.0.0.1", "", "2001:db8::1", "earshot://[2001:db8::1]/#"},
		{"127.0.0.1", "", "[2001:db8::1]", "earshot://[2001:db8::1]/#"},
		{"127.0.0.1", "", "[2001:db8::1]:99", "earshot://[2001:db8::1]:99/#"},
	} {
		link, err := Config{Listen: c.listen, PublicHost: c.public}.Link(c.host, "own", fingerprint)
		if err != nil || link.String() != c.want+fingerprint.String() {
			t.Errorf("%+v: %v, %v", c, link, err)
		}
	}
}
