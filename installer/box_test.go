//go:build linux

package installer

import (
	"crypto/sha256"
	"fmt"
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

// box is a Debian with a booted init, which has something from here: for startBox,
// the two programs in its /usr/local/bin.
type box struct {
	t    *testing.T
	kind kind
	env  []string
	args []string // of systemd-nspawn
}

// kind is what is booted in a box.
type kind struct {
	name string   // of the file that the root file system is kept in
	file string   // the script that makes it and boots it
	make []string // which the script is told then
	log  []string // the command that shows the coordinator's log
}

// systemd is what most Linuxes boot.
var systemd = kind{"systemd-box", "systemd-box.sh", []string{"make"}, []string{"journalctl", "-u", "earshotd", "-n", "30", "--no-pager"}}

// startBox builds the programs and boots a box of its own for the test. The
// root file system is made once and kept in EARSHOT_CACHE.
func startBox(t *testing.T) *box {
	t.Helper()
	return bootBox(t, "/usr/local/bin", programs(t))
}

// programs fills a directory with what a test runs in a box.
func programs(t *testing.T) func(dir string) {
	return func(dir string) {
		t.Helper()
		run(t, []string{"CGO_ENABLED=0"}, "go", "build", "-o", dir+"/", "earshot/svc/earshotd", "earshot/tray/earshot", "earshot/installer/interfaces")
	}
}

// bootBox boots a box with systemd in which a directory is at a place, filled by
// fill. args go to systemd-nspawn.
func bootBox(t *testing.T, place string, fill func(dir string), args ...string) *box {
	t.Helper()
	return systemd.boot(t, place, fill, args...)
}

// boot is bootBox for any init.
func (k kind) boot(t *testing.T, place string, fill func(dir string), args ...string) *box {
	t.Helper()
	bed.Need(t, "mmdebstrap", "systemd-nspawn", "nsenter", "pgrep")
	bed.NeedRoot(t)
	root := bed.ModuleRoot(t)
	cache := bed.Cache(t)
	script := filepath.Join(root, "installer", k.file)
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	// A script that has changed makes another box.
	kept := filepath.Join(cache, fmt.Sprintf("%s-%x", k.name, sha256.Sum256(text))[:len(k.name)+9])
	tar := kept + ".tar"
	if _, err := os.Stat(tar); err != nil {
		run(t, []string{"BOX=" + kept}, "bash", append([]string{script}, k.make...)...)
	}
	dir, err := os.MkdirTemp(cache, "box-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Logf("the box stays behind: %v", err)
		}
	})
	if err := os.Symlink(tar, filepath.Join(dir, "box.tar")); err != nil {
		t.Fatal(err)
	}
	given := filepath.Join(dir, "given")
	if err := os.Mkdir(given, 0o755); err != nil {
		t.Fatal(err)
	}
	fill(given)
	b := &box{t: t, kind: k, env: []string{"BOX=" + filepath.Join(dir, "box")}, args: append(args, "--bind-ro="+given+":"+place)}
	t.Cleanup(func() {
		if out, err := b.script("down"); err != nil {
			t.Logf("the box did not shut down in order: %v: %s", err, out)
		}
		if t.Failed() {
			console, _ := os.ReadFile(filepath.Join(dir, "box.console"))
			t.Logf("the box's console:\n%s", console[max(0, len(console)-4000):])
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

// script calls the script that boots it.
func (b *box) script(args ...string) (string, error) {
	cmd := exec.Command("bash", append([]string{filepath.Join(bed.ModuleRoot(b.t), "installer", b.kind.file)}, args...)...)
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
		journal, _ := b.run(b.kind.log...)
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
	return eventually(b.t, what, func() error {
		if ok() {
			return nil
		}
		return journal{b}
	})
}

// journal is an error that tells what the box has written down, if it is read.
type journal struct{ b *box }

func (j journal) Error() string {
	lines, _ := j.b.run(j.b.kind.log...)
	return lines
}

// eventually tries until something succeeds, and returns how long that took.
func eventually(t *testing.T, what string, try func() error) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > patience {
			t.Fatalf("not within %v: %s\n%v", patience, what, err)
		}
		<-tick.C
	}
}

func run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}
