//go:build linux

package installer

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"earshot/installer/bed"
)

// disk is a file system in a file, mounted at a folder. What has been written to
// the file system and not flushed isn't in the file, so a copy of the file is what
// a computer finds whose power was cut.
type disk struct{ image, folder string }

func newDisk(t *testing.T) *disk {
	t.Helper()
	bed.Need(t, "mkfs.ext4", "mount", "umount")
	bed.NeedRoot(t)
	d := &disk{filepath.Join(t.TempDir(), "disk"), filepath.Join(t.TempDir(), "mounted")}
	if err := errorsOf(os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, 64<<20), os.Mkdir(d.folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	output(t, "mkfs.ext4", "-q", d.image)
	output(t, "mount", "-o", "loop", d.image, d.folder)
	t.Cleanup(func() { _ = exec.Command("umount", d.folder).Run() }) // it may be mounted no longer
	return d
}

// cut makes the disk what is in the file now.
func (d *disk) cut(t *testing.T) {
	t.Helper()
	found := d.image + "-found"
	content, err := os.ReadFile(d.image)
	if err == nil {
		err = os.WriteFile(found, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	output(t, "umount", d.folder) // which flushes, into the old file
	d.image = found
	output(t, "mount", "-o", "loop", d.image, d.folder)
}

func errorsOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// The power is cut while a thousand people register. Of those who were told that
// they are in, none is missing afterwards.
func TestPowerCut(t *testing.T) {
	const people, cutAt = 1000, 500
	d := newDisk(t)
	b := bootBox(t, "/usr/local/bin", func(dir string) {
		run(t, []string{"CGO_ENABLED=0"}, "go", "build", "-o", dir+"/", "earshot/svc/earshotd", "earshot/installer/register")
	}, "--bind="+d.folder+":/var/lib/private")
	b.does("bash", "-c", `printf '[limits]\nlogins_per_second = 10000\nmax_users_per_address = 5000\n' >/etc/earshotd.toml`)
	b.does("earshotd", "install", "--config", "/etc/earshotd.toml")
	b.does("earshotd", "start")

	register := exec.Command("bash", filepath.Join(bed.ModuleRoot(t), "installer", "systemd-box.sh"), "run", "register", "127.0.0.1:13277", "1000")
	register.Env = append(os.Environ(), b.env...)
	out, err := register.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := register.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var answered []string
	for lines := bufio.NewScanner(out); len(answered) < cutAt && lines.Scan(); {
		answered = append(answered, lines.Text())
	}
	b.must(b.script("powercut"))
	d.cut(t)
	_ = register.Wait() // it is killed
	if len(answered) < cutAt {
		t.Fatalf("only %d people were answered", len(answered))
	}
	t.Logf("%d of %d people had an answer after %v", len(answered), people, time.Since(began).Round(time.Millisecond))

	b.up()
	t.Logf("booted to answering: %v", b.eventually("it answers after the power cut", b.answers).Round(10*time.Millisecond))
	var users []struct{ Name string }
	if err := json.Unmarshal([]byte(b.does("earshotd", "user", "list", "--json")), &users); err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool, len(users))
	for _, u := range users {
		known[u.Name] = true
	}
	missing := 0
	for _, name := range answered {
		if !known[name] {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d people who had an answer are missing", missing, len(answered))
	}
	t.Logf("%d people are known", len(users))
}
