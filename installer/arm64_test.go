//go:build linux

package installer

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"earshot/installer/bed"
)

// The programs of the packages for arm64, run by an emulated processor: a
// coordinator, and a person at such a computer who talks with one at this one.
func TestARM64(t *testing.T) {
	const emulator, libraries = "qemu-aarch64-static", "/usr/aarch64-linux-gnu"
	bed.Need(t, emulator, "dpkg-deb")
	dir, root := t.TempDir(), t.TempDir()
	pack(t, dir, version1, "deb", "arm64")
	for _, deb := range glob(t, dir, "*.deb") {
		output(t, "dpkg-deb", "-x", deb, root)
	}
	here := filepath.Join(t.TempDir(), "earshot")
	run(t, []string{"CGO_ENABLED=0"}, "go", "build", "-o", here, "earshot/tray/earshot")
	server, metrics := freePorts(t), freePort(t)
	background := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		said := new(bytes.Buffer)
		cmd.Stdout, cmd.Stderr = said, said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if t.Failed() {
				t.Logf("%s said:\n%s", cmd, said)
			}
		})
	}
	emulated := func(args ...string) []string { return append([]string{"-L", libraries}, args...) }

	background(emulator, emulated(filepath.Join(root, "usr/bin/earshotd"), "run", "--listen", server.String(),
		"--data", t.TempDir(), "--metrics-listen", metrics)...)
	eventually(t, "the coordinator serves", func() error {
		answer, err := http.Get("http://" + metrics + "/readyz")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", answer.Status)
		}
		return nil
	})
	there, profiles := filepath.Join(root, "usr/bin/earshot"), t.TempDir()
	profile := func(name string) string { return filepath.Join(profiles, name) }
	start := func(name string) []string {
		return []string{"run", "--headless", "--profile", profile(name), "--server", server.String(), "--name", name}
	}
	background(emulator, emulated(append([]string{there}, start("Ann")...)...)...)
	background(here, start("Bo")...)
	for from, to := range map[string]string{"Ann": "Bo", "Bo": "Ann"} {
		text := "from " + from
		eventually(t, from+" writes", func() error { return says(here, "", "send", "--profile", profile(from), to, text) })
		eventually(t, to+" has it", func() error { return says(here, text, "history", "--json", "--profile", profile(to)) })
	}
	// The command, too, with what it loads of C's library.
	if out, err := exec.Command(emulator, emulated(there, "roster", "--profile", profile("Ann"))...).CombinedOutput(); err != nil || !strings.Contains(string(out), "Bo") {
		t.Errorf("the emulated roster: %v\n%s", err, out)
	}
}

// freePort is an address on the loopback that nobody has.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// says runs a command that has to succeed, and to print something.
func says(program, want string, args ...string) error {
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if !strings.Contains(string(out), want) {
		return fmt.Errorf("it says no %q: %s", want, out)
	}
	return nil
}
