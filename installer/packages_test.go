//go:build linux

package installer

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"earshot/installer/bed"
)

// The versions that are packed for tests: one, and a later one.
const (
	version1 = "0.1.0-5-gabcdef"
	version2 = "0.2.0"
)

var nfpm = sync.OnceValues(func() (string, error) {
	file := filepath.Join(os.TempDir(), "earshot-nfpm-"+strings.ReplaceAll(version2, ".", "-"))
	cmd := exec.Command("go", "build", "-modfile=.ci/tools.mod", "-o", file, "github.com/goreleaser/nfpm/v2/cmd/nfpm")
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return file, nil
})

// pack makes packages in a directory of the test's.
func pack(t *testing.T, dir, version, formats, arches string) {
	t.Helper()
	tool, err := nfpm()
	if err != nil {
		t.Fatalf("%v\n%s", err, tool)
	}
	cmd := exec.Command("go", "run", "./installer/linux/pack", "-version", version, "-nfpm", tool, "-out", dir, "-format", formats, "-arch", arches)
	cmd.Dir = bed.ModuleRoot(t)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1764000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func the(t *testing.T, pattern string) string {
	t.Helper()
	found, _ := filepath.Glob(pattern)
	if len(found) != 1 {
		t.Fatalf("%s are %q", pattern, found)
	}
	return found[0]
}

// What Debian's checkers say of the packages, and that the same source makes the
// same bytes.
func TestPackages(t *testing.T) {
	bed.Need(t, "lintian", "desktop-file-validate", "appstreamcli", "rpm", "bsdtar", "dpkg-deb", "man")
	dir, again := t.TempDir(), t.TempDir()
	pack(t, dir, version1, "deb,rpm,apk,archlinux", "amd64")
	pack(t, again, version1, "deb,rpm,apk,archlinux", "amd64")
	for _, file := range glob(t, dir, "*") {
		one, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(filepath.Join(again, filepath.Base(file)))
		if err != nil || !bytes.Equal(one, other) {
			t.Errorf("%s is not the same twice: %v", filepath.Base(file), err)
		}
	}
	debs := glob(t, dir, "*.deb")
	if said := output(t, "lintian", append([]string{"--allow-root", "--fail-on", "error,warning"}, debs...)...); strings.TrimSpace(said) != "" {
		t.Errorf("lintian says:\n%s", said)
	}
	t.Run("files", func(t *testing.T) { files(t, dir) })
	t.Run("rpm", func(t *testing.T) { rpmInstalls(t, dir) })
	t.Run("arch", func(t *testing.T) { pacmanInstalls(t, dir) })
	t.Run("apk", func(t *testing.T) { apk(t, dir) })
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s in %s: %v", pattern, dir, err)
	}
	return found
}

// overstruck is how a page makes letters bold: each of them twice.
var overstruck = regexp.MustCompile(".\x08")

// files looks at what the packages put on the disk.
func files(t *testing.T, dir string) {
	root := t.TempDir()
	for _, deb := range glob(t, dir, "*.deb") {
		output(t, "dpkg-deb", "-x", deb, root)
	}
	in := func(file string) string { return filepath.Join(root, file) }
	output(t, "desktop-file-validate", in("usr/share/applications/io.github.earshot.Earshot.desktop"))
	output(t, "appstreamcli", "validate", "--no-net", in("usr/share/metainfo/io.github.earshot.Earshot.metainfo.xml"))
	for page, says := range map[string]string{
		"man8/earshotd.8.gz":      "earshotd - the coordinator of Earshot",
		"man5/earshotd.toml.5.gz": "# Where clients log in",
		"man1/earshot.1.gz":       "earshot send USER TEXT",
	} {
		cmd := exec.Command("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", in("usr/share/man/"+page))
		cmd.Env = append(os.Environ(), "MANROFFSEQ=", "MANWIDTH=80", "LC_ALL=C.UTF-8")
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		text, err := cmd.Output()
		text = overstruck.ReplaceAll(text, nil)
		if err != nil || complaints.Len() > 0 || !strings.Contains(string(text), says) {
			t.Errorf("%s: %v %s\n%.2000s", page, err, complaints.String(), text)
		}
	}
	// A configuration that the program takes, and nothing else in it than the example.
	output(t, in("usr/bin/earshotd"), "check", "--data", t.TempDir(), "--config", in("etc/earshot/earshotd.toml"))
	t.Run("completion", func(t *testing.T) {
		for line, want := range map[string]string{
			"earshotd re": "restart restore", "earshotd --met": "--metrics-listen", "earshotd user re": "remove-device reset remove",
			"earshot ro": "roster", "earshot settings ge": "get", "earshot --headl": "--headless",
		} {
			program, _, _ := strings.Cut(line, " ")
			script := `source "$1"; COMP_WORDS=($2); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _` + program + `; printf '%s\n' "${COMPREPLY[@]}"`
			got := strings.Fields(output(t, "bash", "-c", script, "bash", in("usr/share/bash-completion/completions/"+program), line))
			for word := range strings.FieldsSeq(want) {
				if !strings.Contains(" "+strings.Join(got, " ")+" ", " "+word+" ") {
					t.Errorf("%q completes to %q, without %s", line, got, word)
				}
			}
		}
	})
}

// rpmInstalls installs the packages into an empty root by rpm itself, with its
// scripts, checks them, and removes them. There is no systemd in it;
// TestRPMPackages has one.
func rpmInstalls(t *testing.T, dir string) {
	bed.NeedRoot(t)
	root := t.TempDir()
	rpm := func(args ...string) string {
		return output(t, "rpm", append([]string{"--root", root, "--nodeps"}, args...)...)
	}
	shell(t, root)
	output(t, "rpm", "--root", root, "--initdb")
	rpm(append([]string{"-i"}, glob(t, dir, "*.rpm")...)...)
	for _, name := range []string{"earshot", "earshotd"} {
		if said := rpm("-V", name); said != "" {
			t.Errorf("rpm -V %s says:\n%s", name, said)
		}
	}
	if said := output(t, "rpm", "--root", root, "-q", "--configfiles", "earshotd"); strings.TrimSpace(said) != "/etc/earshot/earshotd.toml" {
		t.Errorf("the configuration files are %q", said)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/earshot/earshotd.toml"), []byte("listen = \":14000\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	newer := t.TempDir()
	pack(t, newer, version2, "rpm", "amd64")
	rpm(append([]string{"-U"}, glob(t, newer, "*.rpm")...)...)
	if kept, err := os.ReadFile(filepath.Join(root, "etc/earshot/earshotd.toml")); err != nil || string(kept) != "listen = \":14000\"\n" {
		t.Errorf("after the upgrade the configuration is %q, %v", kept, err)
	}
	rpm("-e", "earshot", "earshotd")
	for _, file := range []string{"usr/bin/earshotd", "usr/bin/earshot", "usr/lib/systemd/system/earshotd.service"} {
		if _, err := os.Stat(filepath.Join(root, file)); err == nil {
			t.Errorf("%s stays behind", file)
		}
	}
}

// shell gives a root what scripts need at the least.
func shell(t *testing.T, root string) {
	files := []string{"/bin/sh"}
	for word := range strings.FieldsSeq(output(t, "ldd", "/bin/sh")) {
		if strings.HasPrefix(word, "/") {
			files = append(files, word)
		}
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// pacmanInstalls installs, upgrades and removes Arch's packages in a root by
// pacman itself.
func pacmanInstalls(t *testing.T, dir string) {
	bed.Need(t, "pacman")
	bed.NeedRoot(t)
	root := t.TempDir()
	shell(t, root)
	in := func(name string) string { return filepath.Join(root, name) }
	if err := errorsOf(os.MkdirAll(in("var/lib/pacman"), 0o755), os.WriteFile(in("pacman.conf"), []byte("[options]\nArchitecture = x86_64\nSigLevel = Never\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	pacman := func(args ...string) string {
		t.Helper()
		return output(t, "pacman", append([]string{
			"--root", root, "--dbpath", in("var/lib/pacman"), "--cachedir", in("cache"), "--logfile", in("log"), "--gpgdir", in("keys"), "--hookdir", in("hooks"),
			"--config", in("pacman.conf"), "--noconfirm"}, args...)...)
	}
	install := func(dir string) {
		t.Helper()
		pacman(append([]string{"-U", "-dd"}, glob(t, dir, "*.pkg.tar.zst")...)...) // what they depend on is not in this root
	}
	install(dir)
	if said := pacman("-Qkk"); !strings.Contains(said, "earshotd: ") || strings.Contains(said, "warning") || strings.Count(said, " 0 altered files") != 2 {
		t.Errorf("pacman finds\n%s", said)
	}
	if said := pacman("-Qi", "earshot"); !strings.Contains(said, "glibc") || !strings.Contains(said, "0.1.0") {
		t.Errorf("pacman says of the client\n%s", said)
	}
	const mine = "listen = \":14000\"\n"
	if err := os.WriteFile(in("etc/earshot/earshotd.toml"), []byte(mine), 0o644); err != nil {
		t.Fatal(err)
	}
	newer := t.TempDir()
	pack(t, newer, version2, "archlinux", "amd64")
	install(newer)
	if kept, err := os.ReadFile(in("etc/earshot/earshotd.toml")); err != nil || string(kept) != mine {
		t.Errorf("after the upgrade the configuration is %q, %v", kept, err)
	}
	if said := pacman("-Q"); !strings.Contains(said, "earshotd "+version2) {
		t.Errorf("after the upgrade there is %s", said)
	}
	pacman("-R", "earshot", "earshotd")
	for _, file := range []string{"usr/bin/earshotd", "usr/bin/earshot", "usr/lib/systemd/system/earshotd.service", "etc/earshot/earshotd.toml"} {
		if _, err := os.Stat(in(file)); err == nil {
			t.Errorf("%s stays behind", file)
		}
	}
	if kept, err := os.ReadFile(in("etc/earshot/earshotd.toml.pacsave")); err != nil || string(kept) != mine {
		t.Errorf("the administrator's configuration is lost: %v", err)
	}
}

// apk reads Alpine's packages, whose manager Debian does not have.
func apk(t *testing.T, dir string) {
	for pattern, says := range map[string]string{"earshotd_*.apk": "pkgver = 0.1.0_p5-r1", "earshot_*.apk": "depend = gcompat"} {
		file := the(t, filepath.Join(dir, pattern))
		if list := output(t, "bsdtar", "-tf", file); !strings.Contains(list, ".PKGINFO") || !strings.Contains(list, "usr/bin/earshot") {
			t.Errorf("%s holds\n%s", file, list)
		}
		if info := output(t, "bsdtar", "-xOf", file, ".PKGINFO"); !strings.Contains(info, says) {
			t.Errorf("%s does not say %q:\n%s", file, says, info)
		}
	}
}
