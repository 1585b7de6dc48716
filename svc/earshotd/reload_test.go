//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"earshot/protocol/classic/classictest"
	"earshot/protocol/hostnet"
)

// A reload puts into effect what can be, says what can't, and drops nobody; a
// file with a mistake changes nothing, and the mistake is told.
func TestReload(t *testing.T) {
	at, metrics := ports(t)
	data, file := t.TempDir(), filepath.Join(t.TempDir(), "earshotd.toml")
	write := func(lines ...string) {
		t.Helper()
		text := fmt.Sprintf("listen = %q\nmetrics_listen = %q\n", at, metrics) + strings.Join(lines, "\n")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`public_host = "one.example"`)
	s := service{t, data, start(t, nil, "run", "--config", file, "--data", data)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ann, bo := classictest.NewClient(hostnet.OS, "ann", classictest.UTF8Port, at), classictest.NewClient(hostnet.OS, "bo", classictest.UTF8Port, at)
	defer ann.Crash()
	defer bo.Crash()
	if err := ann.Login(ctx); err != nil {
		t.Fatal(err)
	}

	write(`public_host = "two.example"`, `registration = "invite"`, `log_level = "debug"`, `web_listen = ":8443"`)
	if out := s.does("reload"); out != "In effect now: log_level, registration, public_host. At the next start: web_listen; `earshotd restart` does that, and logs everyone out for a moment.\n" {
		// The order is the file's.
		t.Errorf("it says %q", out)
	}
	if link := firstLine(t, s.does("link")); link.Host != "two.example" {
		t.Errorf("the link names %s", link.Host)
	}
	if out := s.does("invite"); !strings.Contains(out, "lets one person in") {
		t.Errorf("registration is as it was: %s", out)
	}
	if out := s.does("reload"); !strings.HasPrefix(out, "Nothing that was in effect has changed. At the next start: web_listen;") {
		t.Errorf("a second time it says %q", out)
	}

	write(`public_host = "three.example"`, `registration = "closed"`)
	s.fails("reload").complains(t, exitFailed, "registration", "open, invite or approve")
	if link := firstLine(t, s.does("link")); link.Host != "two.example" {
		t.Errorf("after a mistake the link names %s", link.Host)
	}

	write(`public_host = "four.example"`)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.loggedWith("the configuration was read anew", func(entry map[string]any) bool { return strings.Contains(fmt.Sprint(entry["changed"]), "registration") })
	if link := firstLine(t, s.does("link")); link.Host != "four.example" {
		t.Errorf("after SIGHUP the link names %s", link.Host)
	}

	// Who was there is there, and hears of others.
	if err := bo.Login(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.WaitFor(ctx, classictest.Is("login", "bo")); err != nil {
		t.Errorf("after all that ann hears nothing: %v", err)
	}
	for _, path := range []string{"/livez", "/readyz", "/healthz"} {
		if code, body := get(t, metrics, path); code != http.StatusOK || body != "ok\n" {
			t.Errorf("%s is %d, %q", path, code, body)
		}
	}
}

var metricName = regexp.MustCompile(`(earshot|process|go)_[a-z_]+`)

// loggedWith waits for a line of the log with a message for which holds does.
func (p *process) loggedWith(message string, holds func(map[string]any) bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		p.mu.Lock()
		changed, lines := p.changed, p.lines
		p.mu.Unlock()
		for _, line := range lines {
			var entry map[string]any
			if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message && holds(entry) {
				return
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			p.t.Fatalf("it never logged %q so:\n%s", message, strings.Join(lines, "\n"))
		}
	}
}

// level writes the name of a level before each line.
type level struct {
	name string
	w    io.Writer
}

func (l level) Write(line []byte) (int, error) { return l.w.Write(append([]byte(l.name), line...)) }

// Every line goes where its gravity leads, with all that belongs to it.
func TestGraded(t *testing.T) {
	var b bytes.Buffer
	log := logTo(nil, false, map[slog.Level]io.Writer{
		slog.LevelDebug: level{"<7>", &b}, slog.LevelInfo: level{"<6>", &b}, slog.LevelWarn: level{"<4>", &b}, slog.LevelError: level{"<3>", &b},
	}, slog.LevelDebug).With("who", "ann").WithGroup("g")
	log.Debug("d", "n", 1)
	log.Info("i")
	log.Warn("w")
	log.Error("e")
	log.Log(t.Context(), slog.LevelError+4, "worse")
	var got []string
	for line := range strings.Lines(b.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line[3:]), &entry); err != nil || entry["who"] != "ann" {
			t.Errorf("%s: %v", line, err)
		}
		got = append(got, line[:3]+fmt.Sprint(entry["msg"]))
	}
	if want := "<7>d <6>i <4>w <3>e <3>worse"; strings.Join(got, " ") != want {
		t.Errorf("%q, not %q", got, want)
	}
}

// Each metric that the dashboard asks for is one of a coordinator's.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title  string
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	at, metrics := ports(t)
	start(t, nil, "run", "--listen", at.String(), "--metrics-listen", metrics.String(), "--data", t.TempDir())
	known := names(t, metrics)
	asked := 0
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				asked++
				if !known[name] {
					t.Errorf("%q asks for %s, which there isn't", panel.Title, name)
				}
			}
		}
	}
	if asked < 10 || board.Title == "" {
		t.Errorf("the dashboard %q asks for %d metrics", board.Title, asked)
	}
}

// names are those of all metrics.
func names(t *testing.T, at netip.AddrPort) map[string]bool {
	t.Helper()
	answer, err := http.Get("http://" + at.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]bool)
	for line := range strings.Lines(string(body)) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); !strings.HasPrefix(name, "#") {
			name, _, _ = strings.Cut(name, "{")
			all[name] = true
		}
	}
	return all
}
