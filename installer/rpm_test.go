//go:build linux

package installer

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rpms is a Debian with a booted systemd and rpm: no distribution of rpm can be
// had where these tests run, but its program and its macros' commands can.
var rpms = kind{"rpm-box", "systemd-box.sh", []string{"make", "rpm"}, systemd.log}

// The packages of rpm with a booted systemd, from installing to erasing.
func TestRPMPackages(t *testing.T) {
	b := rpms.boot(t, "/packages", func(dir string) {
		pack(t, dir, version1, "rpm", "amd64")
		pack(t, dir, version2, "rpm", "amd64")
	})
	const one = "0.1.0"
	rpm := func(verb, version string) {
		t.Helper()
		b.does("bash", "-c", "rpm "+verb+" --nodeps /packages/earshot*"+version+"*.x86_64.rpm") // what they depend on is Debian's here
	}
	b.does("rpm", "--initdb")
	before := everything(b, "!", "-type", "d") // directories that are shared belong to packages of a distribution

	// As everywhere with rpm, what runs is the administrator's word.
	rpm("-i", one)
	if out, _ := b.run("systemctl", "is-active", "earshotd"); out != "inactive" {
		t.Errorf("just installed, it is %s", out)
	}
	b.does("systemctl", "enable", "--now", "earshotd")
	b.eventually("the service answers", b.answers)
	for port := 13277; port <= 13279; port++ {
		b.does("nc", "-z", "127.0.0.1", strconv.Itoa(port))
	}
	t.Run("sandbox", func(t *testing.T) { sandbox(t, b) })
	link := b.does("earshotd", "link")

	b.does("sed", "-i", `s/^log_level = "info"/log_level = "debug"/`, "/etc/earshot/earshotd.toml")
	people := []string{"Ann", "Bo"}
	startPeople(b, people...)
	was := b.pid()
	upgraded := time.Now()
	rpm("-U", version2)
	b.eventually("another process runs", func() bool { return b.answers() && b.pid() != was })
	b.eventually("everybody is back", func() bool {
		return slices.IndexFunc(people, func(name string) bool { return !b.sees(name, people) }) < 0
	})
	within(t, "from the upgrade's begin, rpm's time included, to everybody back", 5*time.Second, time.Since(upgraded))
	if out := b.does("earshotd", "version"); !strings.Contains(out, version2) {
		t.Errorf("after the upgrade it is %s", out)
	}
	if out := b.does("grep", "-c", `^log_level = "debug"`, "/etc/earshot/earshotd.toml"); out != "1" {
		t.Error("the changed configuration is lost")
	}
	if now := b.does("earshotd", "link"); now != link {
		t.Errorf("the coordinator was %s and is %s", link, now)
	}
	stopPeople(b, people...)
	b.must(b.script("reboot"))
	b.eventually("it answers after a reboot", b.answers)
	was = b.pid()
	b.does("kill", "-9", strconv.Itoa(was))
	within(t, "kill -9 to answering", 2*time.Second, b.eventually("it answers after kill -9", func() bool { return b.answers() && b.pid() != was }))

	// Erased, it leaves its data, and the configuration that was changed.
	b.does("rpm", "-e", "earshotd", "earshot")
	if b.answers() {
		t.Error("it answers after its removal")
	}
	b.does("test", "-e", "/etc/earshot/earshotd.toml.rpmsave")
	for _, file := range everything(b, "!", "-type", "d") {
		kept := strings.HasPrefix(file, "/var/lib/private") || strings.HasPrefix(file, "/var/lib/earshotd") || strings.HasPrefix(file, "/etc/earshot") ||
			strings.HasPrefix(file, "/var/lib/rpm")
		if !slices.Contains(before, file) && !kept {
			t.Errorf("%s stays behind", file)
		}
	}
	if out := b.does("bash", "-c", "systemctl list-units --all --no-legend 'earshotd*' || true"); out != "" {
		t.Errorf("units are left: %s", out)
	}
}
