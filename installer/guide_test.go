//go:build linux

package installer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"earshot/installer/bed"
)

// guides is a Debian with what the deployment guide speaks of besides Earshot.
var guides = kind{"guide-box", "systemd-box.sh", []string{"make", "ansible-core,python3-apt,ufw,firewalld"}, systemd.log}

// The guide's Ansible playbook, and its lines for firewalls, as they stand in it,
// in a booted Debian.
func TestDeploymentGuide(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join(bed.ModuleRoot(t), "installer", "DEPLOYMENT.md"))
	if err != nil {
		t.Fatal(err)
	}
	b := guides.boot(t, "/srv/packages", func(dir string) {
		pack(t, dir, version1, "deb", "amd64")
		pack(t, dir, version2, "deb", "amd64")
	})
	// What the policy and the example are for this network.
	b.does("bash", "-c", `mkdir -p /root/play && cd /root/play && printf '%s' "$1" >play.yaml
		printf '[coordinator]\nlocalhost ansible_connection=local\n[desktops]\nlocalhost ansible_connection=local\n' >hosts
		printf 'registration = "invite"\n' >earshotd.toml
		printf '[locked]\nserver = "127.0.0.1"\n' >policy.toml`, "bash", block(t, string(guide), "- hosts: coordinator"))
	play := func(version string) (string, error) {
		return b.run("bash", "-c", `cd /root/play && LC_ALL=C.UTF-8 ANSIBLE_HOME=/root/ansible ansible-playbook -i hosts -e version="$1" play.yaml`, "bash", version)
	}
	const one, two = "0.1.0+5.gabcdef", version2
	said := b.must(play(one))
	b.eventually("the service answers", b.answers)
	if out := b.does("earshotd", "check", "--config", "/etc/earshot/earshotd.toml"); strings.Contains(out, "line") {
		t.Errorf("the configuration is %s", out)
	}
	if out := b.does("cat", "/etc/earshot/policy.toml"); !strings.Contains(out, "127.0.0.1") {
		t.Errorf("the policy is %s", out)
	}
	if !strings.Contains(said, "reload") {
		t.Errorf("the changed configuration was not read again:\n%s", said)
	}
	if again := b.must(play(one)); !strings.Contains(again, "changed=0") {
		t.Errorf("told the same once more, it changes something:\n%s", again)
	}
	b.must(play(two))
	b.eventually("the service answers after the upgrade", b.answers)
	if out := b.does("earshotd", "version"); !strings.Contains(out, two) {
		t.Errorf("after the upgrade it is %s", out)
	}
	// A configuration with a mistake goes nowhere.
	b.does("bash", "-c", `echo 'registration = "everybody"' >/root/play/earshotd.toml`)
	if out, err := play(two); err == nil || !strings.Contains(out, "everybody") {
		t.Errorf("a wrong configuration is rolled out: %v\n%s", err, out)
	}
	if out := b.does("cat", "/etc/earshot/earshotd.toml"); !strings.Contains(out, "invite") {
		t.Errorf("the configuration is now %s", out)
	}
	t.Run("firewalls", func(t *testing.T) { firewalls(t, b, block(t, string(guide), "sudo ufw allow")) })
}

// firewalls runs the lines for two firewalls, each as root.
func firewalls(t *testing.T, b *box, lines string) {
	ufw, firewalld, _ := strings.Cut(strings.ReplaceAll(lines, "sudo ", ""), "\n")
	b.does("systemctl", "stop", "firewalld")
	b.does("ufw", "--force", "enable")
	b.does("bash", "-c", ufw)
	for _, want := range []string{"13277:13279/tcp", "13277:13278/udp"} {
		if out := b.does("ufw", "status"); !strings.Contains(out, want) {
			t.Errorf("ufw lets in\n%s", out)
		}
	}
	b.does("ufw", "disable")
	b.does("systemctl", "start", "firewalld")
	b.does("bash", "-c", firewalld)
	for _, want := range []string{"13277-13279/tcp", "13277-13278/udp"} {
		if out := b.does("firewall-cmd", "--list-ports"); !strings.Contains(out, want) {
			t.Errorf("firewalld lets in %s", out)
		}
	}
	b.does("systemctl", "stop", "firewalld")
}

// block is what stands in the guide between two lines of ``` and has some words.
func block(t *testing.T, guide, words string) string {
	t.Helper()
	for i, text := range strings.Split(guide, "\n```") {
		if _, text, _ = strings.Cut(text, "\n"); i%2 == 1 && strings.Contains(text, words) {
			return text + "\n"
		}
	}
	t.Fatalf("the guide has no block with %q", words)
	return ""
}
