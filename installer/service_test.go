//go:build linux

package installer

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The coordinator as a service, from install to uninstall, on a real systemd.
func TestService(t *testing.T) {
	b := startBox(t)
	answers := func() bool {
		_, err := b.run("curl", "-fsS", "--max-time", "2", "http://127.0.0.1:13276/healthz")
		return err == nil
	}
	pid := func() int {
		n, err := strconv.Atoi(b.does("systemctl", "show", "earshotd", "--value", "--property=MainPID"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}

	if out := b.fails("earshotd", "start"); !strings.Contains(out, "earshotd install") {
		t.Errorf("starting what is not installed says: %s", out)
	}
	t.Log(b.does("earshotd", "install"))
	t.Log(b.fails("earshotd", "status"))
	b.does("earshotd", "start")
	b.eventually("the service answers", answers)
	t.Log(b.does("earshotd", "status"))
	if out := b.does("systemctl", "is-enabled", "earshotd"); out != "enabled" {
		t.Errorf("the service is %s", out)
	}

	t.Run("serves people", func(t *testing.T) { servesPeople(t, b) })
	t.Run("sandbox", func(t *testing.T) { sandbox(t, b) })
	t.Run("interfaces", func(t *testing.T) { interfaces(t, b) })

	// Killed, hung and rebooted, it comes back by itself.
	was := pid()
	if was <= 1 {
		t.Fatalf("its process is %d", was)
	}
	b.does("kill", "-9", strconv.Itoa(was))
	within(t, "kill -9 to answering", 2*time.Second, b.eventually("it answers after kill -9", func() bool { return answers() && pid() != was }))
	if out := b.does("earshotd", "status"); !strings.Contains(out, "restarted once") {
		t.Errorf("after kill -9, status says: %s", out)
	}
	was = pid()
	b.does("kill", "-STOP", strconv.Itoa(was))
	within(t, "hang to answering", 15*time.Second, b.eventually("it answers after a hang", func() bool { return answers() && pid() != was }))
	b.must(b.script("reboot"))
	t.Logf("booted to answering: %v", b.eventually("it answers after a reboot", answers))
	b.must(b.script("powercut"))
	b.up()
	t.Logf("booted after a power cut to answering: %v", b.eventually("it answers after a power cut", answers))

	// Installing again changes the registration and not the state; what an
	// interrupted installation left behind is mended.
	was = pid()
	b.does("earshotd", "install", "--log-level", "debug", "--web-listen", ":443")
	if pid() != was {
		t.Error("a second install restarted the service")
	}
	b.does("earshotd", "restart")
	b.eventually("it answers after a restart", answers)
	if out := b.does("systemctl", "show", "earshotd", "--value", "--property=ExecStart"); !strings.Contains(out, "--log-level debug") {
		t.Errorf("after the second install it runs %s", out)
	}
	// A port below 1024, which the service's account alone may not have.
	if out := b.does("curl", "-fsSk", "--max-time", "5", "https://127.0.0.1/"); !strings.Contains(out, "This is Earshot's coordinator.") {
		t.Errorf("the web port says: %s", out)
	}
	b.does("earshotd", "stop")
	b.does("truncate", "-s", "0", "/etc/systemd/system/earshotd.service")
	b.does("earshotd", "install")
	b.does("earshotd", "start")
	b.eventually("it answers after its empty unit was mended", answers)

	t.Run("port taken", func(t *testing.T) { portTaken(t, b) })

	t.Log(b.does("earshotd", "uninstall"))
	if answers() {
		t.Error("it answers after uninstall")
	}
	if out := b.fails("earshotd", "uninstall"); !strings.Contains(out, "not installed") {
		t.Errorf("a second uninstall says: %s", out)
	}
	for _, list := range []string{"list-unit-files", "list-units --all"} {
		// It fails if it finds none.
		if out := b.does("bash", "-c", "systemctl "+list+" --no-legend 'earshotd*' || true"); out != "" {
			t.Errorf("units are left: %s", out)
		}
	}
	b.does("bash", "-c", "! ls /etc/systemd/system/earshotd* /etc/systemd/system/*/earshotd*")
}

// within fails the test for what takes longer than it may, on a machine that has
// something else to do as well: three times that.
func within(t *testing.T, what string, most, took time.Duration) {
	t.Helper()
	if t.Logf("%s: %v, of %v", what, took.Round(10*time.Millisecond), most); took > 3*most {
		t.Errorf("%s took %v", what, took)
	}
}

// portTaken has another program take the port: starting fails with a sentence,
// and a stop ends the attempts.
func portTaken(t *testing.T, b *box) {
	b.does("earshotd", "stop")
	b.does("systemd-run", "--quiet", "--collect", "--unit=squatter", "nc", "-klu", "13277")
	b.eventually("the port is taken", func() bool {
		out, err := b.run("ss", "-Hlun", "sport = :13277")
		return err == nil && out != ""
	})
	t.Log(b.fails("earshotd", "start"))
	b.eventually("status tells that it fails, and why", func() bool {
		out, err := b.run("earshotd", "status")
		return err != nil && strings.Contains(out, "(exit-code), restarted ")
	})
	b.does("earshotd", "stop")
	if out, _ := b.run("systemctl", "is-active", "earshotd"); out != "inactive" && out != "failed" {
		t.Errorf("after stop the service is %s", out)
	}
	if out := b.does("journalctl", "-u", "earshotd", "--no-pager"); !strings.Contains(out, "another program has UDP port 13277") {
		t.Errorf("the journal does not say what is wrong:\n%s", out)
	}
	b.does("systemctl", "stop", "squatter")
	b.does("earshotd", "start")
}

// servesPeople logs two clients in, and sends a message from one to the other.
func servesPeople(t *testing.T, b *box) {
	for _, name := range []string{"Ann", "Bo"} {
		b.does("systemd-run", "--quiet", "--collect", "--unit=client-"+name, "/usr/local/bin/earshot", "run", "--headless",
			"--profile", "/var/tmp/"+name, "--server", "127.0.0.1", "--name", name)
	}
	b.eventually("Ann sees Bo", func() bool {
		out, err := b.run("earshot", "roster", "--json", "--profile", "/var/tmp/Ann")
		return err == nil && strings.Contains(out, `"Bo"`)
	})
	b.does("earshot", "send", "--profile", "/var/tmp/Ann", "Bo", "through the service")
	b.eventually("Bo has the message", func() bool {
		out, err := b.run("earshot", "history", "--json", "--profile", "/var/tmp/Bo")
		return err == nil && strings.Contains(out, "through the service")
	})
	for port := 13277; port <= 13279; port++ {
		b.does("nc", "-z", "127.0.0.1", strconv.Itoa(port))
	}
	for _, name := range []string{"Ann", "Bo"} {
		b.does("earshot", "quit", "--profile", "/var/tmp/"+name)
	}
}

// interfaces has another program run in the service's unit, which lists the network's
// interfaces: without AF_NETLINK among the unit's address families nobody sees any.
func interfaces(t *testing.T, b *box) {
	b.does("bash", "-c", `sed -e 's|^ExecStart=.*|ExecStart=/usr/local/bin/interfaces|' -e 's/^Type=.*/Type=oneshot/' \
		-e '/^Restart/d' -e '/^WatchdogSec/d' -e '/^ExecReload/d' -e '/^StateDirectory/d' \
		$(systemctl show -P FragmentPath earshotd) >/run/systemd/system/probe.service && systemctl daemon-reload`)
	b.does("systemctl", "start", "probe")
	if out := b.does("journalctl", "-u", "probe", "-o", "cat", "--no-pager"); !strings.Contains(out, "127.0.0.1/8") {
		t.Errorf("inside the sandbox the interfaces are:\n%s", out)
	}
	b.does("bash", "-c", "rm /run/systemd/system/probe.service && systemctl daemon-reload")
}

// sandbox checks that the unit shuts out what the coordinator doesn't need, and
// nothing that it does.
func sandbox(t *testing.T, b *box) {
	out := b.does("systemd-analyze", "security", "--no-pager", "earshotd")
	last := out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]
	t.Log(last)
	var exposure float64
	if _, err := fmt.Sscanf(last[strings.Index(last, ": ")+2:], "%f", &exposure); err != nil {
		t.Fatalf("%q: %v", last, err)
	}
	if exposure > 1.5 {
		t.Errorf("its exposure is %v, above 1.5:\n%s", exposure, out)
	}
	// ProcSubset=pid would have cut it to 128.
	if out := b.does("ss", "-Hltn", "sport = :13278"); !strings.Contains(out, "4096") {
		t.Errorf("the listen backlog is not 4096: %s", out)
	}
	if out := b.does("bash", "-c", "stat -c '%U %a' $(readlink -f /var/lib/earshotd)"); !strings.HasSuffix(out, " 700") {
		t.Errorf("its directory is %s", out)
	}
}
