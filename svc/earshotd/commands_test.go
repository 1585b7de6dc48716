package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestUsageErrors(t *testing.T) {
	for _, args := range [][]string{
		{}, {"serve"}, {"install", "--firewall"}, {"install", "--firewall=maybe"}, {"uninstall", "--data", "x"}, {"run", "--lisen", ":1"}, {"run", "now"}, {"run", "--listen"}, {"check", "x"},
		{"status", "x"}, {"start", "x"}, {"example", "x"}, {"version", "x"},
		{"user"}, {"user", "rename"}, {"user", "list", "x"}, {"user", "show"}, {"user", "remove-device", "ann"},
		{"user", "approve", "ann", "--host", "h"}, {"invite", "ann"}, {"invite", "--expires", "soon"}, {"link", "x"},
		{"backup"}, {"restore", "a", "b"},
	} {
		o := try(t, nil, args...)
		o.complains(t, exitUsage)
		if !strings.Contains(o.stderr, "earshotd help") {
			t.Errorf("%q: it does not say where help is:\n%s", args, o.stderr)
		}
	}
}

func TestMistakesInTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "earshotd.toml")
	for text, parts := range map[string][]string{
		"\nlisen = ':1'\n":                                  {"line 2:", "lisen", "earshotd example"},
		"listen = ':1\n":                                    {"line 1:"},
		"log_level = 'loud'\n":                              {"line 1:", "log_level", "debug"},
		"listen = ':65534'\n":                               {"line 1:", "listen", "65534", "65533"},
		"metrics_listen = '1.2.3.4:80'\n":                   {"line 1:", "metrics_listen", "loopback"},
		"[limits]\nmax_users = -1\n":                        {"line 2:", "limits.max_users", "-1"},
		"[limits]\n\nmax_users = '1'\n":                     {"line 3:", "limits.max_users", "wrong kind", "earshotd example"},
		"secure = 3\n":                                      {"line 1:", "secure", "true"},
		"\n# a remark\n\n  trusted_networks = ['10.0.0.1']": {"line 4:", "trusted_networks", "192.168.0.0/16"},
		"listen = 'no host.invalid:1000'\n":                 {"line 1:", "no host.invalid", "write one of"},
		"web_listen = 'x y'\n":                              {"line 1:", "web_listen", "x y"},
		"registration = 'closed'\n":                         {"line 1:", "registration", "invite"},
		"\npublic_host = 'a b'\n":                           {"line 2:", "public_host", "a b", "chat.example.com"},
		"certificate = '/x.pem'\n":                          {"line 1:", "certificate_key"},
		"certificate = '/x'\ncertificate_key = '/y'\n":      {"line 1:", "/x", "no such file"},
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		try(t, nil, "run", "--config", file, "--data", t.TempDir(), "--log-level", "").complains(t, exitFailed, parts...)
	}
	for text, parts := range map[string][]string{
		"\ndata = '/dev/null/x'\n":                       {"line 2:", "data", "/dev/null/x", "--data"},
		"listen = '203.0.113.7'\nmetrics_listen = 'off'": {"203.0.113.7"}, // right, but not this computer's
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		try(t, nil, "run", "--config", file).complains(t, exitFailed, parts...)
	}
	// What the file is not to blame for has no line of it.
	if err := os.WriteFile(file, []byte("log_level = 'info'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []outcome{
		try(t, nil, "check", "--config", file, "--log-level", "loud"), try(t, []string{"EARSHOT_LOG_LEVEL=loud"}, "check", "--config", file),
	} {
		if o.complains(t, exitFailed, "log_level", "loud"); strings.Contains(o.stderr, "line") {
			t.Errorf("it says %s", o.stderr)
		}
	}
	try(t, nil, "check", "--config", file+".missing").complains(t, exitFailed, file+".missing", "no such file")
	try(t, nil, "check", "--config", filepath.Dir(file)).complains(t, exitFailed, "directory")
}

// What example prints is a configuration.
func TestExample(t *testing.T) {
	o := try(t, nil, "example")
	file := filepath.Join(t.TempDir(), "earshotd.toml")
	if err := os.WriteFile(file, []byte(o.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	if o := try(t, nil, "check", "--config", file, "--data", t.TempDir()); o.code != exitDone || !strings.Contains(o.stdout, "13277") || o.stderr != "" {
		t.Errorf("check says %+v", o)
	}
}

func TestVersionAndHelp(t *testing.T) {
	for _, name := range []string{"version", "--version"} {
		if o := try(t, nil, name); o != (outcome{0, "earshotd 1.2.3-test\n", ""}) {
			t.Errorf("%s: %+v", name, o)
		}
	}
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}, {"run", "--help"}, {"help", "run"},
		{"user", "--help"}, {"user", "show", "--help"}, {"invite", "-h"}} {
		o := try(t, nil, args...)
		if o.code != exitDone || o.stderr != "" {
			t.Errorf("%q: %+v", args, o)
		}
		names := slices.Collect(maps.Keys(commands))
		for name := range users {
			names = append(names, "user "+name)
		}
		for _, name := range names {
			if !strings.Contains(o.stdout, "\n  earshotd "+name+" ") {
				t.Errorf("%q does not explain %s", args, name)
			}
		}
		for line := range strings.Lines(o.stdout) {
			if len(line) > 80 {
				t.Errorf("this line is too long for a terminal: %s", line)
			}
		}
	}
}

// Where systemd does not run, the commands for the service say so.
func TestNoServiceManager(t *testing.T) {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		return // installer's tests see the commands there
	}
	for _, name := range []string{"install", "start", "stop", "restart", "status", "uninstall"} {
		try(t, nil, name).complains(t, exitFailed, "systemd does not run here", "earshotd run")
	}
}
