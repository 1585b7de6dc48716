package doctor

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"earshot/protocol/hostnet"
	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// well is a report of somebody for whom everything works.
func well() Report {
	return Report{Running: true, Connection: chat.Online, Diagnosis: chat.Diagnosis{
		Server: "chat.example:4000", Protocol: chat.ProtocolSecure, NAT: "easy", Firewall: "restricted", Mapping: "PCP",
		Checks: []chat.Check{{What: "tcp", OK: true, Milliseconds: 3}, {What: "udp", OK: true, Milliseconds: 2}, {What: "web", Why: "refused"}},
		People: []chat.Reach{{Name: "Ann", Route: chat.RouteDirect, Milliseconds: 4}, {Name: "Bo", Route: chat.RouteRelayed}, {Name: "Cy", Skip: chat.SkipOffline}},
	}}
}

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*Report)
		healthy bool
		says    string // a line that must be there
	}{
		{"well", func(*Report) {}, true, "✓ Ann is reached directly, in 4 ms."},
		{"a port is open", func(*Report) {}, true, "✓ The router has opened a port for Earshot (PCP)."},
		{"offline", func(r *Report) { r.Connection, r.Problem = chat.Offline, "The coordinator does not answer." }, false, "✗ The coordinator does not answer."},
		{"no TCP", func(r *Report) { r.Diagnosis.Checks[0] = chat.Check{What: "tcp", Why: "refused"} }, false,
			"✗ It does not answer by TCP (refused). Either it isn't running, or a firewall lets nothing through to its TCP port 4000: ask whoever runs it."},
		{"HTTPS only", func(r *Report) {
			r.Diagnosis.Checks = []chat.Check{{What: "tcp", Why: "timeout"}, {What: "web", OK: true, Milliseconds: 9}}
		}, true, "✓ It can be reached by HTTPS (WebSocket), in 9 ms."},
		{"no UDP", func(r *Report) {
			r.Diagnosis.NAT, r.Diagnosis.Checks[1] = "blocked", chat.Check{What: "udp", Why: "nothing came back"}
		}, false, "✗ It does not answer by UDP (nothing came back), so everybody is reached through the coordinator. A firewall, here or there, should let UDP through to port 4000 and the next one."},
		{"no name", func(r *Report) {
			r.Running, r.Diagnosis.Checks = false, append([]chat.Check{{What: "name", Why: "no such host."}}, chat.Check{What: "tcp", Why: "no"})
		}, false, "✗ The name chat.example can't be looked up (no such host). Check how it is spelled, and whether this computer is on the network."},
		{"why relayed", func(r *Report) { r.Diagnosis.NAT = "hard" }, true,
			"· Bo is reached through the coordinator, encrypted as always: the NAT here is of the hard kind, and the other side's does not make up for it."},
		{"unreachable", func(r *Report) { r.Diagnosis.People[0].Route = chat.RouteNone }, false,
			"✗ Ann can't be reached, though online. Messages wait here and go as soon as that changes. If it stays so, have Ann run “earshot doctor”, too."},
		{"changed key", func(r *Report) { r.Diagnosis.People[2].Skip = chat.SkipBlocked }, false,
			"✗ Nothing is sent to Cy before you decide about the changed key: open the conversation."},
		{"classic", func(r *Report) { r.Diagnosis = chat.Diagnosis{Server: "old", Protocol: chat.ProtocolClassic} }, true,
			"✓ You are online. This coordinator speaks the classic protocol, in which nothing is encrypted or proven, and people are reached only where their UDP port is."},
		{"too many", func(r *Report) { r.Diagnosis.NotTried = 1 }, true, "· 1 more person is online and was not tried. Name people to try just them."},
		{"invisible", func(r *Report) { r.Diagnosis.People, r.Diagnosis.Hidden = nil, true }, true, "· You are invisible, so nobody was tried: they would see you."},
	} {
		r := well()
		c.change(&r)
		r.Judge()
		text := r.Text(i18n.New("en"))
		if r.Healthy != c.healthy {
			t.Errorf("%s: healthy is %v:\n%s", c.name, r.Healthy, text)
		}
		if !strings.Contains("\n"+text, "\n"+c.says+"\n") {
			t.Errorf("%s: it doesn't say %q:\n%s", c.name, c.says, text)
		}
		if chinese := r.Text(i18n.New("zh-Hans")); strings.Contains(chinese, "Doctor") || strings.Count(chinese, "\n") != strings.Count(text, "\n") {
			t.Errorf("%s, in Chinese:\n%s", c.name, chinese)
		}
	}
}

// Without a client the ways to a coordinator are tried that isn't there, and one
// whose name nobody knows.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := hostnet.NewSim()
		here := sim.Host(netip.MustParseAddr("192.0.2.1"))
		sim.Host(netip.MustParseAddr("192.0.2.2"))
		for name, c := range map[string]struct {
			resolve func(context.Context, string) ([]netip.Addr, error)
			known   bool
		}{
			"nobody listens": {func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("192.0.2.2")}, nil
			}, true},
			"no such name": {func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }, false},
		} {
			d := Alone(t.Context(), here, "chat.example", 13277, c.resolve)
			r := Report{Diagnosis: d}
			r.Judge()
			ok := make(map[string]bool)
			for _, check := range d.Checks {
				ok[check.What] = check.OK
			}
			if r.Healthy || ok["name"] != c.known || ok["tcp"] || ok["udp"] || ok["web"] || len(ok) != 4 {
				t.Errorf("%s: %+v", name, d)
			}
		}
	})
}

// What must stay private is not in a bundle; what helps is.
func TestBundle(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "earshot.log")
	long := strings.Repeat("an old line\n", maxLog/12+1000) + "the last line\n"
	if err := os.WriteFile(log, []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	items := []settings.Item{
		{Name: "server", Value: "earshot://chat.example/?invite=SECRETTOKEN#FINGERPRINT"},
		{Name: "people.Ann.login", Value: "once"}, {Name: "away_after", Value: 10},
	}
	var b bytes.Buffer
	r := well()
	if err := Bundle(&b, r, items, log, filepath.Join(dir, "missing.log")); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
		for _, secret := range []string{"SECRETTOKEN", "FINGERPRINT", "people.Ann"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s holds %s", f.Name, secret)
			}
		}
	}
	if len(files) != 4 || !strings.Contains(files["settings.json"], "away_after") || !strings.Contains(files["report.txt"], "Ann is reached") ||
		!strings.Contains(files["report.json"], `"route": "direct"`) {
		t.Errorf("it holds %d files: %v", len(files), files["settings.json"])
	}
	if got := files["earshot.log"]; len(got) > maxLog || !strings.HasPrefix(got, "an old line\n") || !strings.HasSuffix(got, "the last line\n") {
		t.Errorf("%d bytes of the log", len(got))
	}
}

// The page says at once that it is looking, and escapes what others are called.
func TestPage(t *testing.T) {
	r, problem := well(), error(nil)
	r.Diagnosis.People[0].Name = "<script>alert(1)</script>"
	page := Page(func(*http.Request) (Report, error) { r.Judge(); return r, problem }, i18n.New("en"))
	get := func() string {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if !w.Flushed {
			t.Error("nothing was shown before all was known")
		}
		return w.Body.String()
	}
	if text := get(); strings.Contains(text, "<script") || !strings.Contains(text, "&lt;script&gt;") || !strings.Contains(text, "Everything works.") {
		t.Errorf("the page is\n%s", text)
	}
	problem = errors.New("the <client> ends")
	if text := get(); !strings.Contains(text, "It could not be found out: the &lt;client&gt; ends") {
		t.Errorf("the page is\n%s", text)
	}
}
