//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"earshot/protocol/classic/classictest"
	"earshot/protocol/hostnet"
)

func get(t *testing.T, at netip.AddrPort, path string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// It serves textbook clients on all its ports, is healthy and measured, and
// says goodbye to everyone when it is asked to end.
func TestRun(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			at, metrics := ports(t)
			p := start(t, nil, "run", "--listen", at.String(), "--metrics-listen", metrics.String(), "--data", t.TempDir())
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()

			// One reads the list of each port.
			ann := classictest.NewClient(hostnet.OS, "ann", classictest.DotNet, at)
			bo := classictest.NewClient(hostnet.OS, "bo", classictest.UTF8Port, at)
			defer ann.Crash()
			defer bo.Crash()
			if err := ann.Login(ctx); err != nil {
				t.Fatal(err)
			}
			if err := bo.Login(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := ann.WaitFor(ctx, classictest.Is("login", "bo")); err != nil {
				t.Fatal(err)
			}
			if conn, err := net.Dial("tcp", at.String()); err != nil {
				t.Error(err)
			} else {
				greeting, err := io.ReadAll(conn)
				conn.Close()
				if err != nil || !strings.Contains(string(greeting), "Earshot") {
					t.Errorf("the main TCP port says %q, %v", greeting, err)
				}
			}

			if code, body := get(t, metrics, "/healthz"); code != http.StatusOK || body != "ok\n" {
				t.Errorf("/healthz is %d, %q", code, body)
			}
			_, body := get(t, metrics, "/metrics")
			for _, name := range []string{"\ngo_goroutines ", "\nprocess_open_fds ", "\nearshot_"} {
				if !strings.Contains(body, name) {
					t.Errorf("/metrics has no %q", strings.TrimSpace(name))
				}
			}

			if code := p.end(s); code != exitDone {
				t.Errorf("it ended with %d", code)
			}
			for _, name := range []string{"ann", "bo"} {
				if _, err := bo.WaitFor(ctx, classictest.Is("logout", name)); err != nil {
					t.Errorf("bo did not hear that %s is logged out: %v", name, err)
				}
			}
		})
	}
}

// Each of the four ports is needed, and a taken one is named.
func TestPortTaken(t *testing.T) {
	for i, network := range []string{"udp", "tcp", "tcp", "tcp"} {
		at, _ := ports(t)
		taken := netip.AddrPortFrom(at.Addr(), at.Port()+uint16(max(i-1, 0)))
		var other io.Closer
		var err error
		if network == "udp" {
			other, err = net.ListenPacket(network, taken.String())
		} else {
			other, err = net.Listen(network, taken.String())
		}
		if err != nil {
			t.Fatal(err)
		}
		o := try(t, nil, "run", "--listen", at.String(), "--metrics-listen", "off", "--data", t.TempDir())
		other.Close()
		o.complains(t, exitFailed, strings.ToUpper(network)+" port "+strconv.Itoa(int(taken.Port())), "127.0.0.1", "--listen")
	}
}

// The web port is served where it is asked for, and a taken one is named.
func TestWebPort(t *testing.T) {
	at, web := ports(t)
	p := start(t, nil, "run", "--listen", at.String(), "--web-listen", web.String(), "--metrics-listen", "off", "--data", t.TempDir())
	if port := p.logged("the coordinator serves")["web_port"]; port != float64(web.Port()) {
		t.Errorf("it logged the web port %v", port)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: patience}
	defer client.CloseIdleConnections()
	answer, err := client.Get("https://" + web.String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(body), "This is Earshot's coordinator.") {
		t.Errorf("it shows %q, %v", body, err)
	}
	other, _ := ports(t)
	try(t, nil, "run", "--listen", other.String(), "--web-listen", web.String(), "--metrics-listen", "off", "--data", t.TempDir()).
		complains(t, exitFailed, "TCP port "+strconv.Itoa(int(web.Port())), "--web-listen")
	try(t, nil, "run", "--listen", other.String(), "--web-listen", "a b:1", "--data", t.TempDir()).complains(t, exitFailed, "web_listen")
	for text, want := range map[string]string{web.String(): "a WebSocket on " + web.String(), "off": "no WebSocket"} {
		if o := try(t, nil, "check", "--listen", other.String(), "--web-listen", text, "--data", t.TempDir()); o.code != exitDone || !strings.Contains(o.stdout, want) {
			t.Errorf("check says %+v", o)
		}
	}
}

// The metrics' port is needed only if somebody asked for it.
func TestMetricsPortTaken(t *testing.T) {
	at, metrics := ports(t)
	other, err := net.Listen("tcp", metrics.String())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	try(t, nil, "run", "--listen", at.String(), "--metrics-listen", metrics.String(), "--data", t.TempDir()).
		complains(t, exitFailed, metrics.String(), "--metrics-listen")

	// Another program may have the default port on this computer, or nobody.
	if standard, err := net.Listen("tcp", "127.0.0.1:13276"); err == nil {
		defer standard.Close()
	}
	p := start(t, nil, "run", "--listen", at.String(), "--data", t.TempDir())
	entry := p.logged("health and metrics are not served")
	if entry["level"] != "WARN" || entry["address"] != "127.0.0.1:13276" {
		t.Errorf("it logged %v", entry)
	}
	if code := p.end(syscall.SIGTERM); code != exitDone {
		t.Errorf("it ended with %d", code)
	}
}

func TestListenOnAName(t *testing.T) {
	at, _ := ports(t)
	p := start(t, nil, "run", "--listen", "localhost:"+strconv.Itoa(int(at.Port())), "--metrics-listen", "off", "--data", t.TempDir())
	served, _ := p.logged("the coordinator serves")["address"].(string)
	if addr, err := netip.ParseAddrPort(served); err != nil || !addr.Addr().IsLoopback() || addr.Port() != at.Port() {
		t.Errorf("it serves %q", served)
	}
}

// Flags go over the environment, which goes over the file.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "earshotd.toml")
	write(t, file, "listen = '127.0.0.1:2001'\nmetrics_listen = 'off'\ndata = '"+dir+"'\n")
	for want, run := range map[string]struct{ env, args []string }{
		":2001,":  {nil, []string{"--config", file}},
		":2002,":  {[]string{"EARSHOT_LISTEN=127.0.0.1:2002"}, []string{"--config", file}},
		":2003,":  {[]string{"EARSHOT_LISTEN=127.0.0.1:2002", "EARSHOT_CONFIG=" + file}, []string{"--listen", "127.0.0.1:2003"}},
		":13277,": {[]string{"EARSHOT_CONFIG=" + file}, []string{"--listen", "127.0.0.1"}},
	} {
		o := try(t, run.env, append([]string{"check"}, run.args...)...)
		if o.code != exitDone || !strings.Contains(o.stdout, want) || !strings.Contains(o.stdout, file) {
			t.Errorf("for %q it says %+v", want, o)
		}
	}
	// The environment holds for what it does not name, too.
	try(t, []string{"EARSHOT_MAX_USERS=many"}, "check", "--config", file).complains(t, exitFailed, "EARSHOT_MAX_USERS", "many", "number")
}

func TestDataDirectoryCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	o := try(t, nil, "run", "--listen", "127.0.0.1", "--data", filepath.Join(file, "data"))
	o.complains(t, exitFailed, file, "--data")
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
