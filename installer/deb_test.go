//go:build linux

package installer

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The packages in a Debian with a booted systemd, from installing to purging.
func TestDebianPackages(t *testing.T) {
	b := bootBox(t, "/packages", func(dir string) {
		pack(t, dir, version1, "deb", "amd64")
		pack(t, dir, version2, "deb", "amd64")
	})
	install := func(version string) {
		t.Helper()
		b.does("bash", "-c", "dpkg -i /packages/earshot*_"+version+"_amd64.deb")
	}
	const one, two = "0.1.0+5.gabcdef", version2
	before := everything(b)

	install(one)
	b.eventually("the service answers", b.answers)
	for property, want := range map[string]string{"is-enabled": "enabled", "is-active": "active"} {
		if out := b.does("systemctl", property, "earshotd"); out != want {
			t.Errorf("%s: %s", property, out)
		}
	}
	for port := 13277; port <= 13279; port++ {
		b.does("nc", "-z", "127.0.0.1", strconv.Itoa(port))
	}
	if out := b.does("sysctl", "-n", "net.core.rmem_max"); out != "7500000" {
		t.Logf("the buffers, which belong to this machine and not to the box, are %s", out)
	}
	t.Run("sandbox", func(t *testing.T) { sandbox(t, b) })
	for _, verb := range []string{"install", "uninstall"} {
		if out := b.fails("earshotd", verb); !strings.Contains(out, "as a package") {
			t.Errorf("beside the package, %s says %s", verb, out)
		}
	}
	link := b.does("earshotd", "link")

	t.Run("reload", func(t *testing.T) { reloads(t, b) })

	// An upgrade while two people are there: what the administrator has changed
	// stays, the coordinator is the same one, and they are back with all others.
	b.does("sed", "-i", `s/^log_level = "info"/log_level = "debug"/`, "/etc/earshot/earshotd.toml")
	people := []string{"Ann", "Bo"}
	startPeople(b, people...)
	t.Run("reload with people", func(t *testing.T) { reloadsWithPeople(t, b, people) })
	was := b.pid()
	upgraded := time.Now()
	install(two)
	b.eventually("another process runs", func() bool { return b.answers() && b.pid() != was })
	b.eventually("everybody is back", func() bool {
		return slices.IndexFunc(people, func(name string) bool { return !b.sees(name, people) }) < 0
	})
	within(t, "from the upgrade's begin, dpkg's time included, to everybody back", 5*time.Second, time.Since(upgraded))
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
	t.Run("backup", func(t *testing.T) { backup(t, b, link) })

	// What is disabled stays so, and what is enabled comes back with the computer.
	b.does("systemctl", "disable", "--now", "earshotd")
	install(one)
	install(two)
	if out, _ := b.run("systemctl", "is-enabled", "earshotd"); out != "disabled" || b.answers() {
		t.Errorf("after an upgrade the disabled service is %s", out)
	}
	b.does("systemctl", "enable", "--now", "earshotd")
	b.must(b.script("reboot"))
	t.Logf("booted to answering: %v", b.eventually("it answers after a reboot", b.answers).Round(10*time.Millisecond))
	was = b.pid()
	b.does("kill", "-9", strconv.Itoa(was))
	within(t, "kill -9 to answering", 2*time.Second, b.eventually("it answers after kill -9", func() bool { return b.answers() && b.pid() != was }))

	// Removed, it leaves what is the administrator's; purged, nothing.
	b.does("dpkg", "-r", "earshotd", "earshot")
	if b.answers() {
		t.Error("it answers after its removal")
	}
	b.does("test", "-e", "/etc/earshot/earshotd.toml")
	b.does("bash", "-c", "test -d $(readlink -f /var/lib/earshotd)")
	b.does("dpkg", "-P", "earshotd", "earshot")
	for _, file := range everything(b) {
		if !slices.Contains(before, file) {
			t.Errorf("%s stays behind", file)
		}
	}
	if out := b.does("bash", "-c", "systemctl list-units --all --no-legend 'earshotd*' || true"); out != "" {
		t.Errorf("units are left: %s", out)
	}
}

// reloads has systemd reload the service: what can change does, nobody is dropped,
// and a mistake is told and harms nothing.
func reloads(t *testing.T, b *box) {
	const file = "/etc/earshot/earshotd.toml"
	was := b.pid()
	b.does("sed", "-i", `s/^public_host = .*/public_host = "chat.example"/`, file)
	b.does("systemctl", "reload", "earshotd")
	if out := b.does("earshotd", "link"); !strings.Contains(out, "chat.example") {
		t.Errorf("after a reload the link is %s", out)
	}
	b.does("sed", "-i", `s/^public_host = .*/public_hots = "x"/`, file)
	b.fails("systemctl", "reload", "earshotd")
	if out := b.does("journalctl", "-u", "earshotd", "-p", "err", "--no-pager", "-o", "cat"); !strings.Contains(out, "public_hots") {
		t.Errorf("the journal's errors are: %s", out)
	}
	if out := b.does("journalctl", "-u", "earshotd", "-p", "warning", "--no-pager", "-o", "cat"); strings.Contains(out, "the coordinator serves") {
		t.Errorf("what is no warning is among them: %s", out)
	}
	b.does("sed", "-i", `s/^public_hots = .*/public_host = ""/`, file)
	b.does("systemctl", "reload", "earshotd")
	if !b.answers() || b.pid() != was {
		t.Error("reloading has ended the coordinator")
	}
}

// reloadsWithPeople has it reload while people are there: nobody is told of anybody,
// and nobody logs in anew.
func reloadsWithPeople(t *testing.T, b *box, people []string) {
	b.eventually("they see each other", func() bool {
		return slices.IndexFunc(people, func(name string) bool { return !b.sees(name, people) }) < 0
	})
	logins := func() string {
		return b.does("bash", "-c", `curl -fsS http://127.0.0.1:13276/metrics | grep -E '^earshot_secure_(logins_total|devices_online) '`)
	}
	before := logins()
	b.does("sed", "-i", `s/^registration = .*/registration = "invite"/`, "/etc/earshot/earshotd.toml")
	b.does("systemctl", "reload", "earshotd")
	b.does("sed", "-i", `s/^registration = .*/registration = "open"/`, "/etc/earshot/earshotd.toml")
	b.does("systemctl", "reload", "earshotd")
	if after := logins(); after != before || !strings.Contains(before, strconv.Itoa(len(people))) {
		t.Errorf("before the reloads there was\n%s\nand behind them\n%s", before, after)
	}
}

// backup has everything lost and put back.
func backup(t *testing.T, b *box, link string) {
	list := func() string { return b.does("earshotd", "user", "list", "--json") }
	was := list()
	if !strings.Contains(was, "Ann") || !strings.Contains(was, "Bo") {
		t.Fatalf("those who have registered are %s", was)
	}
	b.does("earshotd", "backup", "/root/backup")
	if out := b.does("stat", "-c", "%a", "/root/backup"); out != "600" {
		t.Errorf("the backup, with the coordinator's key, has the mode %s", out)
	}
	b.does("systemctl", "stop", "earshotd")
	b.does("bash", "-c", "rm -rf $(readlink -f /var/lib/earshotd)/*")
	b.does("systemctl", "start", "earshotd")
	if now := list(); now == was || b.does("earshotd", "link") == link {
		t.Fatal("what was removed is still there")
	}
	b.does("earshotd", "restore", "/root/backup")
	b.does("systemctl", "restart", "earshotd")
	if now := list(); now != was {
		t.Errorf("put back is %s, and there was %s", now, was)
	}
	if now := b.does("earshotd", "link"); now != link {
		t.Errorf("the coordinator was %s and is %s", link, now)
	}
	b.does("rm", "/root/backup")
}

// everything lists the box's files, but for those of running systems and of the
// package manager; which says what else find is to look at.
func everything(b *box, which ...string) []string {
	return strings.Fields(b.does("bash", "-c", `find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/tmp -o -path /dev \
		-o -path /packages -o -path /var/log -o -path /var/cache -o -path /var/lib/dpkg -o -path /var/lib/systemd -o -path /root \) -prune -o `+strings.Join(append(which, "-print"), " ")))
}

// answers says whether the coordinator in the box is well.
func (b *box) answers() bool {
	_, err := b.run("curl", "-fsS", "--max-time", "2", "http://127.0.0.1:13276/healthz")
	return err == nil
}

// pid is the service's process.
func (b *box) pid() int {
	b.t.Helper()
	n, err := strconv.Atoi(b.does("systemctl", "show", "earshotd", "--value", "--property=MainPID"))
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// startPeople has clients in the box, and waits until each sees all.
func startPeople(b *box, names ...string) {
	b.t.Helper()
	for _, name := range names {
		b.does("systemd-run", "--quiet", "--collect", "--unit=client-"+name, "earshot", "run", "--headless",
			"--profile", "/var/tmp/"+name, "--server", "127.0.0.1", "--name", name)
	}
	for _, name := range names {
		b.eventually(name+" sees all", func() bool { return b.sees(name, names) })
	}
}

// sees says whether somebody is online and sees all others so.
func (b *box) sees(name string, all []string) bool {
	status, err := b.run("earshot", "status", "--json", "--profile", "/var/tmp/"+name)
	if err != nil || !strings.Contains(status, `"connection": "online"`) {
		return false
	}
	roster, err := b.run("earshot", "roster", "--json", "--profile", "/var/tmp/"+name)
	if err != nil {
		return false
	}
	var people []struct {
		Name          string
		Online, Stale bool
	}
	if err := json.Unmarshal([]byte(roster), &people); err != nil {
		b.t.Fatalf("the roster is %s: %v", roster, err)
	}
	there := 0
	for _, p := range people {
		if p.Online && !p.Stale && p.Name != name && slices.Contains(all, p.Name) {
			there++
		}
	}
	return there == len(all)-1
}

func stopPeople(b *box, names ...string) {
	for _, name := range names {
		b.does("earshot", "quit", "--profile", "/var/tmp/"+name)
	}
}
