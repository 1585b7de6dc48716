//go:build linux

package installer

import (
	"bytes"
	"debug/pe"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"earshot/installer/bed"
)

// TestMSI installs, upgrades and removes both programs under wine by their
// installers, silently, as an administrator rolls them out, and checks what they
// leave.
//
// earshotd in it is the program of TestWineService and not the one that is shipped,
// for the same reasons; and what is said there of wine holds here: no account, no
// recovery, no delayed start and no firewall is proven by this.
func TestMSI(t *testing.T) {
	bed.Need(t, "wixl", "msibuild", "osslsigncode", "openssl")
	w := bed.NewWine(t)
	programs := t.TempDir()
	move(t, w.BuildService("./svc/earshotd"), filepath.Join(programs, "earshotd.exe"))
	move(t, w.Build("./tray/earshot", "-ldflags", "-H windowsgui"), filepath.Join(programs, "earshot.exe"))
	output(t, filepath.Join(bed.ModuleRoot(t), "installer", "windows", "resources.sh"), version1,
		filepath.Join(programs, "earshotd.exe"), filepath.Join(programs, "earshot.exe"))
	for _, program := range []string{"earshotd.exe", "earshot.exe"} {
		resources(t, filepath.Join(programs, program))
	}
	authority := certificate(t)
	out := t.TempDir()
	for _, version := range []string{"0.1.0", version2} {
		cmd := exec.Command("go", "run", "./installer/windows/msi", "-version", version, "-programs", programs, "-out", out)
		cmd.Dir = bed.ModuleRoot(t)
		cmd.Env = append(os.Environ(), "EARSHOT_SIGN_PFX="+authority.pfx, "EARSHOT_SIGN_PASSWORD="+authority.password)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	msi := func(program, version string) string { return filepath.Join(out, program+"-"+version+"-x64.msi") }
	for _, file := range glob(t, out, "*.msi") {
		if said := output(t, "osslsigncode", "verify", "-CAfile", authority.pem, "-in", file); !strings.Contains(said, "Signature verification: ok") {
			t.Errorf("%s: %s", file, said)
		}
	}
	t.Run("earshotd", func(t *testing.T) { coordinatorMSI(t, w, msi) })
	t.Run("earshot", func(t *testing.T) { clientMSI(t, w, msi) })
}

func coordinatorMSI(t *testing.T, w *bed.Wine, msi func(program, version string) string) {
	w.Persist()
	server, data := freePorts(t), filepath.Join(t.TempDir(), "data of earshotd")
	const program = `C:\Program Files\Earshot\earshotd.exe`
	t.Cleanup(func() {
		if t.Failed() { // the registry is that of the next test, too
			w.Does("msiexec", "/x", bed.Path(msi("earshotd", "0.1.0")), "/qn")
			w.Does("msiexec", "/x", bed.Path(msi("earshotd", version2)), "/qn")
			w.Does(program, "uninstall")
		}
	})
	w.Install(msi("earshotd", "0.1.0"), "LISTEN="+server.String(), "DATA="+bed.Path(data))
	wantTextbookLogin(t, server)
	if out, ok := w.Does(program, "status"); !ok {
		t.Errorf("the status is %s", out)
	}

	// The administrator starts it by hand from now on; an upgrade keeps that, and
	// the data.
	const key = `HKLM\System\CurrentControlSet\Services\earshotd`
	w.Run("reg", "add", key, "/v", "Start", "/t", "REG_DWORD", "/d", "3", "/f")
	identity, err := os.ReadFile(filepath.Join(data, "engine", "coordinator.pem"))
	if err != nil {
		t.Fatal(err)
	}
	upgrade(w, msi("earshotd", "0.1.0"), msi("earshotd", version2))
	wantTextbookLogin(t, server)
	if value := w.Registry(key, "Start"); value != "0x3" {
		t.Errorf("after the upgrade the start type is %s", value)
	}
	if now, err := os.ReadFile(filepath.Join(data, "engine", "coordinator.pem")); err != nil || string(now) != string(identity) {
		t.Errorf("after the upgrade the coordinator is another one: %v", err)
	}

	w.Uninstall(msi("earshotd", version2))
	if value := w.Registry(key, "Start"); value != "" {
		t.Error("the service is still registered")
	}
	if w.HasFile(program) {
		t.Error("the program is still there")
	}
	if _, err := os.Stat(filepath.Join(data, "engine")); err != nil {
		t.Errorf("the data is gone: %v", err)
	}
	w.Install(msi("earshotd", version2), "LISTEN="+server.String(), "DATA="+bed.Path(data), "NOSTART=1")
	if out, ok := w.Does(program, "status"); ok {
		t.Errorf("with NOSTART it runs: %s", out)
	}
	w.Uninstall(msi("earshotd", version2), "PURGE=1", "DATA="+bed.Path(data))
	if _, err := os.Stat(data); err == nil {
		t.Error("the data is still there after PURGE=1")
	}
}

func clientMSI(t *testing.T, w *bed.Wine, msi func(program, version string) string) {
	const (
		program = `C:\Program Files\Earshot\earshot.exe`
		run     = `HKLM\Software\Microsoft\Windows\CurrentVersion\Run`
		policy  = `HKLM\Software\Policies\Earshot\Recommended`
	)
	w.Install(msi("earshot", "0.1.0"), "SERVER=chat.example.com")
	for what, got := range map[string]bool{
		"no program":                w.HasFile(program),
		"nothing in the start menu": w.HasFile("Earshot.lnk"),
		"no start at login":         strings.Contains(w.Registry(run, "Earshot"), program),
		"no coordinator":            w.Registry(policy, "server") == "chat.example.com",
	} {
		if !got {
			t.Error(what)
		}
	}
	upgrade(w, msi("earshot", "0.1.0"), msi("earshot", version2), "NOAUTOSTART=1", "SERVER=chat.example.com")
	if value := w.Registry(run, "Earshot"); value != "" {
		t.Errorf("with NOAUTOSTART it starts at login: %s", value)
	}
	w.Uninstall(msi("earshot", version2), asked)
	if w.HasFile(program) || w.HasFile("Earshot.lnk") || w.Registry(policy, "server") != "" {
		t.Errorf("program %v, shortcut %v or coordinator %q stay behind", w.HasFile(program), w.HasFile("Earshot.lnk"), w.Registry(policy, "server"))
	}
}

// asked is for wine, which asks a component's condition again when it removes it.
const asked = "SERVER=any"

// resources looks for what Windows shows of a program, and how it treats it.
func resources(t *testing.T, file string) {
	t.Helper()
	program, err := pe.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	section := program.Section(".rsrc")
	if section == nil {
		t.Fatalf("%s has no resources", file)
	}
	content, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	wide := func(text string) []byte {
		var b []byte
		for _, unit := range utf16.Encode([]rune(text)) {
			b = append(b, byte(unit), byte(unit>>8))
		}
		return b
	}
	for _, want := range [][]byte{[]byte("permonitorv2"), []byte("longPathAware"), []byte("Microsoft.Windows.Common-Controls"), wide(version1), wide("0.1.0"), wide("Earshot")} {
		if !bytes.Contains(bytes.ToLower(content), bytes.ToLower(want)) {
			t.Errorf("%s has no %q", file, want)
		}
	}
}

// upgrade puts one version in the place of another. Windows removes the old one by
// itself and tells both what it does; wine doesn't tell the old one, so here each is
// told by hand what Windows would tell it.
func upgrade(w *bed.Wine, from, to string, properties ...string) {
	w.Uninstall(from, "UPGRADINGPRODUCTCODE=1", asked)
	w.Install(to, append(properties, "WIX_UPGRADE_DETECTED=1")...)
}

func move(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// signing is a certificate for tests, with its key.
type signing struct{ pem, pfx, password string }

func certificate(t *testing.T) signing {
	t.Helper()
	dir := t.TempDir()
	s := signing{filepath.Join(dir, "c.pem"), filepath.Join(dir, "c.pfx"), filepath.Join(dir, "password")}
	if err := os.WriteFile(s.password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "c.key")
	output(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Earshot's tests",
		"-addext", "extendedKeyUsage=codeSigning", "-keyout", key, "-out", s.pem)
	output(t, "openssl", "pkcs12", "-export", "-in", s.pem, "-inkey", key, "-passout", "file:"+s.password, "-out", s.pfx)
	return s
}
