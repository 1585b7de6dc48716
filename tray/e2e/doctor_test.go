package e2e

import (
	"archive/zip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/doctor"
)

// doctor runs it, and returns what it found and its exit code.
func (k *client) doctor(t *testing.T, args ...string) (r doctor.Report, code int) {
	t.Helper()
	out, stderr, code := k.run(append([]string{"doctor", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("doctor --json printed %q, %q: %v", out, stderr, err)
	}
	return r, code
}

// What the doctor says of a network that works, of a coordinator that is gone,
// and where no client runs; and what it gives to whoever helps.
func TestDoctor(t *testing.T) {
	c := startCoordinator(t)
	ann, bo := startClient(t, c, "Ann", "auto"), startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, "Bo", true)
	bo.waitOnline(t, "Ann", true)
	const secret = "nobody else may read this"
	ann.must(t, "send", "Bo", secret)
	bo.waitMessage(t, "Ann", secret)

	r, code := ann.doctor(t)
	if code != 0 || !r.Healthy || !r.Running || r.Diagnosis.Protocol != chat.ProtocolSecure || r.Diagnosis.NAT != "none" {
		t.Errorf("it ends with %d and says %+v", code, r)
	}
	if people := r.Diagnosis.People; len(people) != 1 || people[0].Name != "Bo" || people[0].Route != chat.RouteDirect {
		t.Errorf("it reached %+v", people)
	}
	text := ann.must(t, "doctor", "Bo")
	if !strings.Contains(text, "✓ Bo is reached directly") || !strings.Contains(text, "Everything works.") {
		t.Errorf("it says\n%s", text)
	}
	if line := ann.must(t, "roster"); !strings.Contains(line, "direct") {
		t.Errorf("the roster says %q", line)
	}
	if _, stderr, code := ann.run("doctor", "Nobody"); code == 0 || !strings.Contains(stderr, "Nobody") {
		t.Errorf("of somebody unknown it says %q and ends with %d", stderr, code)
	}

	bundle := filepath.Join(t.TempDir(), "for help.zip")
	ann.must(t, "doctor", "--bundle", bundle)
	key, err := os.ReadFile(filepath.Join(ann.profile, "device.key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{secret}
	for line := range strings.Lines(string(key)) {
		if line = strings.TrimSpace(line); line != "" {
			secrets = append(secrets, line)
		}
	}
	if len(secrets) < 3 {
		t.Errorf("the key has no lines to look for: %d", len(secrets))
	}
	searchBundle(t, bundle, secrets...)
	if _, stderr, code := ann.run("doctor", "--bundle", bundle); code == 0 || !strings.Contains(stderr, "already") {
		t.Errorf("a file that is there: %q, %d", stderr, code)
	}

	bo.term(t)
	alone, code := bo.doctor(t)
	if code != 0 || alone.Running || !alone.Healthy || alone.Diagnosis.NAT != "none" {
		t.Errorf("without a client it ends with %d and says %+v", code, alone)
	}
	c.kill()
	ann.wait(t, "offline", isConnection(chat.Offline))
	for _, k := range []*client{ann, bo} {
		r, code := k.doctor(t)
		failed := 0
		for _, check := range r.Diagnosis.Checks {
			if !check.OK && check.Why != "" {
				failed++
			}
		}
		if code != 1 || r.Healthy || failed < 3 {
			t.Errorf("%s, without a coordinator: it ends with %d and says %+v", k.name, code, r)
		}
	}
	if out, _, code := ann.run("doctor"); code != 1 || !strings.Contains(out, "✗") || !strings.Contains(out, "what to do stands beside each ✗") {
		t.Errorf("without a coordinator it says\n%s", out)
	}
}

// searchBundle looks for what must not be in it.
func searchBundle(t *testing.T, file string, secrets ...string) {
	t.Helper()
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		in.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range append(secrets, "PRIVATE KEY", "stun_token", "invite=") {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s holds %q", f.Name, secret)
			}
		}
	}
	if len(z.File) < 4 {
		t.Errorf("it holds %d files", len(z.File))
	}
}
