//go:build linux

package installer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"earshot/installer/bed"
)

// patience bounds every wait for what happens inside the box.
const patience = 60 * time.Second

// box is a Debian with a booted systemd, which has something from here: for
// startBox, the two programs in its /usr/local/bin.
type box struct {
	t    *testing.T
	env  []string
	args []string // of systemd-nspawn
}

// startBox builds the programs and boots a box of its own for the test. The
// root file system is made once and kept in EARSHOT_CACHE.
func startBox(t *testing.T) *box {
	t.Helper()
	return bootBox(t, "/usr/local/bin", func(dir string) {
		run(t, []string{"CGO_ENABLED=0"}, "go", "build", "-o", dir+"/", "earshot/svc/earshotd", "earshot/tray/earshot", "earshot/installer/interfaces")
	})
}

// bootBox boots a box in which a directory is at a place, filled by fill. args go
// to systemd-nspawn.
func bootBox(t *testing.T, place string, fill func(dir string), args ...string) *box {
	t.Helper()
	bed.Need(t, "mmdebstrap", "systemd-nspawn", "nsenter", "pgrep")
	bed.NeedRoot(t)
	root := bed.ModuleRoot(t)
	cache := bed.Cache(t)
	tar := filepath.Join(cache, "systemd-box.tar")
	if _, err := os.Stat(tar); err != nil {
		run(t, []string{"BOX=" + filepath.Join(cache, "systemd-box")}, "bash", filepath.Join(root, "installer", "systemd-box.sh"), "make")
	}
	dir, err := os.MkdirTemp(cache, "box-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(tar, filepath.Join(dir, "box.tar")); err != nil {
		t.Fatal(err)
	}
	given := filepath.Join(dir, "given")
	if err := os.Mkdir(given, 0o755); err != nil {
		t.Fatal(err)
	}
	fill(given)
	b := &box{t: t, env: []string{"BOX=" + filepath.Join(dir, "box")}, args: append(args, "--bind-ro="+given+":"+place)}
	t.Cleanup(func() {
		if out, err := b.script("down"); err != nil {
			t.Logf("the box did not shut down in order: %v: %s", err, out)
		}
		if t.Failed() {
			console, _ := os.ReadFile(filepath.Join(dir, "box.console"))
			t.Logf("the box's console:\n%s", console[max(0, len(console)-4000):])
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Logf("the box stays behind: %v", err)
		}
	})
	b.up()
	return b
}

// up boots it.
func (b *box) up() {
	b.t.Helper()
	b.must(b.script(append([]string{"up"}, b.args...)...))
}

// script calls systemd-box.sh.
func (b *box) script(args ...string) (string, error) {
	cmd := exec.Command("bash", append([]string{filepath.Join(bed.ModuleRoot(b.t), "installer", "systemd-box.sh")}, args...)...)
	cmd.Env = append(os.Environ(), b.env...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (b *box) must(out string, err error) string {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%v: %s", err, out)
	}
	return out
}

// run runs a command inside.
func (b *box) run(args ...string) (string, error) {
	return b.script(append([]string{"run"}, args...)...)
}

// does runs a command inside that has to succeed.
func (b *box) does(args ...string) string {
	b.t.Helper()
	out, err := b.run(args...)
	if err != nil {
		journal, _ := b.run("journalctl", "-u", "earshotd", "-n", "30", "--no-pager")
		b.t.Fatalf("%s: %v: %s\n%s", strings.Join(args, " "), err, out, journal)
	}
	return out
}

// fails runs a command inside that must not succeed, and returns its sentence.
func (b *box) fails(args ...string) string {
	b.t.Helper()
	out, err := b.run(args...)
	if err == nil {
		b.t.Fatalf("%s succeeded: %s", strings.Join(args, " "), out)
	}
	return out
}

// eventually polls the box, and returns how long it took.
func (b *box) eventually(what string, ok func() bool) time.Duration {
	b.t.Helper()
	began := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(began) > patience {
			journal, _ := b.run("journalctl", "-u", "earshotd", "-n", "30", "--no-pager")
			b.t.Fatalf("not within %v: %s\n%s", patience, what, journal)
		}
		<-tick.C
	}
	return time.Since(began)
}

func run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}
