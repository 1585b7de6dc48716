package osservice

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What runs counts, and not what is installed.
func TestDetect(t *testing.T) {
	sysvinit := map[string]string{"proc/1/cmdline": "init [2]  \x00", "proc/1/comm": "init\n", "etc/init.d/rc": "", "etc/rc2.d/S01x": ""}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  initSystem
	}{
		{"systemd, beside the others' files", map[string]string{"run/systemd/system/x": "", "sbin/openrc-init": "", "etc/init.d/x": "", "etc/rc2.d/x": "", "proc/1/comm": "systemd\n"}, systemd{}},
		{"OpenRC below busybox's init", map[string]string{"run/openrc/softlevel": "default\n", "proc/1/comm": "init\n", "proc/1/cmdline": "/sbin/init\x00"}, openrc{}},
		{"OpenRC's own init, which has just begun", map[string]string{"proc/1/comm": "openrc-init\n"}, openrc{}},
		{"OpenRC below sysvinit", map[string]string{"run/openrc/softlevel": "default\n", "proc/1/comm": "init\n", "proc/1/cmdline": "init [2]\x00", "etc/init.d/x": "", "etc/rc2.d/x": ""}, openrc{}},
		{"sysvinit", sysvinit, sysv{}},
		{"sysvinit, whose single user works", map[string]string{"proc/1/cmdline": "init [S]  \x00", "etc/init.d/rc": "", "etc/rc2.d/S01x": ""}, sysv{}},
		{"sysvinit without runlevels", map[string]string{"proc/1/cmdline": "init [2]  \x00", "etc/init.d/rc": ""}, nil},
		{"Windows' Linux with Debian's files", map[string]string{"proc/1/cmdline": "/init\x00", "proc/1/comm": "init(Debian)\n", "etc/init.d/rc": "", "etc/rc2.d/S01x": ""}, nil},
		{"busybox's init, or another one", map[string]string{"proc/1/cmdline": "/sbin/init\x00", "proc/1/comm": "init\n", "etc/init.d/rcS": "", "etc/rc2.d/S01x": ""}, nil},
		{"a container of one program, with OpenRC in its image", map[string]string{"proc/1/comm": "sh\n", "proc/1/cmdline": "sh\x00", "sbin/openrc-init": "", "etc/init.d/x": ""}, nil},
		{"nothing", nil, nil},
	} {
		root := t.TempDir()
		for name, text := range c.files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := detect(root); got != c.want {
			t.Errorf("%s: %T, not %T", c.name, got, c.want)
		}
	}
}

// The refusal that a test can reach depends on where it runs.
func TestSupported(t *testing.T) {
	err := supported()
	switch init := detect("/"); {
	case init == nil:
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "systemd does not run here") || !strings.Contains(err.Error(), "`earshotd run`") {
			t.Errorf("without an init: %v", err)
		}
		if _, err := Status(); !errors.Is(err, ErrUnsupported) {
			t.Errorf("status without an init: %v", err)
		}
	case os.Geteuid() != 0:
		if !errors.Is(err, ErrService) || !strings.Contains(err.Error(), "sudo") {
			t.Errorf("without root: %v", err)
		}
	default: // the test's binary is under /tmp
		if !errors.Is(err, ErrService) || !strings.Contains(err.Error(), "/usr/local/bin") {
			t.Errorf("under /tmp: %v", err)
		}
	}
}

// Whatever an interrupted installation has left, the file is the new one or the old
// one, and nothing stays aside.
func TestRenew(t *testing.T) {
	failure := errors.New("failure")
	for _, c := range []struct {
		name       string
		old, aside string // "-" is no file
		fails      bool
		want       string
	}{
		{"the first", "-", "-", false, "new"},
		{"the second", "old", "-", false, "new"},
		{"over an empty file", "", "-", false, "new"},
		{"over what was put aside", "-", "older", false, "new"},
		{"over both", "", "older", false, "new"},
		{"the first, which fails", "-", "-", true, "-"},
		{"the second, which fails", "old", "-", true, "old"},
	} {
		file := filepath.Join(t.TempDir(), "file")
		for name, text := range map[string]string{file: c.old, file + ".old": c.aside} {
			if text == "-" {
				continue
			}
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		undone := false
		err := renew(file, file+".old", func() error {
			if _, err := os.Stat(file); err == nil {
				t.Errorf("%s: the library would refuse", c.name)
			}
			if err := os.WriteFile(file, []byte("new"), 0o755); err != nil {
				t.Fatal(err)
			}
			if c.fails {
				return failure
			}
			return nil
		}, func() { undone = true })
		if c.fails != (err != nil) || c.fails && (!errors.Is(err, ErrService) || !errors.Is(err, failure)) || undone != c.fails {
			t.Errorf("%s: %v, undone: %v", c.name, err, undone)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			got = []byte("-")
		}
		if string(got) != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
		if _, err := os.Stat(file + ".old"); err == nil {
			t.Errorf("%s: something stays aside", c.name)
		}
	}
}
