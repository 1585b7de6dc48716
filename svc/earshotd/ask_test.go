//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/svc/admin"
	"earshot/svc/engine"
)

// service is an earshotd that runs, and its data directory.
type service struct {
	t    *testing.T
	data string
	*process
}

func startService(t *testing.T, data string, env ...string) service {
	t.Helper()
	at, _ := ports(t)
	return service{t, data, start(t, env, "run", "--listen", at.String(), "--metrics-listen", "off", "--data", data)}
}

// does runs a command on the service, which must succeed.
func (s service) does(args ...string) string {
	s.t.Helper()
	o := try(s.t, nil, append(args, "--data", s.data)...)
	if o.code != exitDone || o.stderr != "" {
		s.t.Fatalf("%q: %+v", args, o)
	}
	return o.stdout
}

func (s service) fails(args ...string) outcome {
	s.t.Helper()
	return try(s.t, nil, append(args, "--data", s.data)...)
}

// firstLine reads the link on the first line.
func firstLine(t *testing.T, printed string) identity.Link {
	t.Helper()
	line, _, _ := strings.Cut(printed, "\n")
	l, err := identity.ParseLink(line)
	if err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	return l
}

// registered makes a data directory in which ann has two devices and bo waits.
func registered(t *testing.T) (data string, phone engine.Device) {
	t.Helper()
	data = t.TempDir()
	e, err := engine.Open(t.Context(), engine.Config{Dir: data})
	if err != nil {
		t.Fatal(err)
	}
	laptop, key := identity.NewKey(), identity.NewKey()
	phone = engine.Device{Key: key.Public(), Label: "phone\x1b[2J", Endorsements: []engine.Endorsement{
		{By: laptop.Public(), Signature: laptop.Endorse(classic.NameKey("Ann"), key.Public())}}}
	if _, err := e.Claim(t.Context(), "Ann", engine.Device{Key: laptop.Public(), Label: "laptop"}, engine.PolicyOpen, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := e.AddDevice(t.Context(), "Ann", phone); err != nil {
		t.Fatal(err)
	}
	if a, _ := e.Claim(t.Context(), "李雷", engine.Device{Key: identity.NewKey().Public()}, engine.PolicyApprove, ""); !a.Pending {
		t.Fatalf("%+v", a)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return data, phone
}

func TestLinkAndInvite(t *testing.T) {
	s := startService(t, t.TempDir(), "EARSHOT_REGISTRATION=invite", "EARSHOT_PUBLIC_HOST=chat.example.com:99")
	logged, _ := s.logged("by this link")["link"].(string)
	own := firstLine(t, s.does("link"))
	if own.String() != logged || own.Host != "chat.example.com" || own.Port != 99 || own.Invite != "" {
		t.Errorf("it logged %q and prints %+v", logged, own)
	}
	printed := s.does("invite", "--host", "192.0.2.7", "--expires", "2h")
	invited := firstLine(t, printed)
	if invited.Host != "192.0.2.7" || invited.Invite == "" || invited.Fingerprint != own.Fingerprint || !strings.Contains(printed, "one person in, until 20") {
		t.Errorf("invite says %s", printed)
	}
	printed = s.does("user", "invite", "Ann")
	if again := firstLine(t, printed); again.Invite == "" || again.Invite == invited.Invite || !strings.Contains(printed, "one device in as Ann") {
		t.Errorf("user invite says %s", printed)
	}
	s.fails("user", "invite", "a,b").complains(t, exitFailed, "comma")
	s.fails("invite", "--expires", "-1h").complains(t, exitFailed, "longer than nothing")
	s.fails("invite", "--host", "two words").complains(t, exitFailed, "two words", "--host")

	// The key stays the same one; where anybody may come in, nobody is invited.
	s.end(syscall.SIGTERM)
	s = startService(t, s.data)
	printed = s.does("invite", "--host", "192.0.2.7")
	if all := firstLine(t, printed); all.Invite != "" || all.Fingerprint != own.Fingerprint || !strings.Contains(printed, "open") {
		t.Errorf("invite says %s", printed)
	}
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if l := firstLine(t, s.does("link")); !strings.EqualFold(l.Host, hostname) || l.Port == 99 {
		t.Errorf("without a public host: %+v", l)
	}
	s.end(syscall.SIGTERM)
	s = startService(t, s.data, "EARSHOT_SECURE=false")
	s.fails("link").complains(t, exitFailed, "secure = false")
	s.fails("invite").complains(t, exitFailed, "secure = false")
}

func TestUsers(t *testing.T) {
	empty := startService(t, t.TempDir())
	if out := empty.does("user", "list"); !strings.Contains(out, "Nobody") {
		t.Errorf("of nobody it says %s", out)
	}
	data, phone := registered(t)
	s := startService(t, data)
	list := s.does("user", "list")
	if lines := strings.Split(strings.TrimSpace(list), "\n"); len(lines) != 3 ||
		!strings.HasPrefix(lines[1], "active   2") || !strings.HasSuffix(lines[1], "  Ann") ||
		!strings.HasPrefix(lines[2], "pending  1") || !strings.HasSuffix(lines[2], "  李雷") {
		t.Errorf("the list is\n%s", list)
	}
	var all []admin.User
	if err := json.Unmarshal([]byte(s.does("user", "list", "--json")), &all); err != nil || len(all) != 2 || all[1].State != admin.Pending {
		t.Errorf("%+v, %v", all, err)
	}
	show := s.does("user", "show", "ann")
	if !strings.Contains(show, phone.Key.String()) || !strings.Contains(show, "let in by "+phone.Endorsements[0].By.String()) || strings.Contains(show, "\x1b") {
		t.Errorf("it shows\n%q", show)
	}
	if out := s.does("user", "approve", "李雷"); !strings.Contains(out, "approved") {
		t.Errorf("approve says %s", out)
	}
	if out := s.does("user", "list"); strings.Contains(out, "pending") {
		t.Errorf("the list is\n%s", out)
	}

	s.fails("user", "remove-device", "ann", "AAA").complains(t, exitFailed, "AAA", "user show")
	id := strings.ToLower(phone.Key.String()[:9])
	if out := s.does("user", "remove-device", "ann", id); !strings.Contains(out, "Ann has 1 device.") {
		t.Errorf("remove-device says %s", out)
	}
	s.fails("user", "remove-device", "ann", id).complains(t, exitFailed, "0 of the devices")
	if out := s.does("user", "show", "ANN"); !strings.Contains(out, phone.Key.String()+"  removed") {
		t.Errorf("it shows\n%s", out)
	}
	if out := s.does("user", "reset", "ann"); !strings.Contains(out, "user invite") {
		t.Errorf("reset says %s", out)
	}
	if out := s.does("user", "show", "ann"); !strings.Contains(out, "no device") {
		t.Errorf("it shows\n%s", out)
	}
	if out := s.does("user", "remove", "ann"); !strings.Contains(out, "Ann is removed") {
		t.Errorf("remove says %s", out)
	}
	for _, verb := range []string{"show", "approve", "reset", "remove"} {
		s.fails("user", verb, "ann").complains(t, exitFailed, `"ann"`, "user list")
	}
	// What an administrator did is in the log, and survives.
	if entry := s.logged("changed a user"); entry["name"] == "" || entry["what"] == "" {
		t.Errorf("it logged %v", entry)
	}
	s.end(syscall.SIGKILL)
	s = startService(t, data)
	if out := s.does("user", "list"); strings.Contains(out, "Ann") || !strings.Contains(out, "李雷") {
		t.Errorf("after a restart the list is\n%s", out)
	}
}

func TestBackupAndRestore(t *testing.T) {
	data, _ := registered(t)
	from := startService(t, data)
	file := filepath.Join(t.TempDir(), "backup")
	if out := from.does("backup", file); !strings.Contains(out, file) || !strings.Contains(out, "secret") {
		t.Errorf("backup says %s", out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	to := startService(t, t.TempDir())
	before := firstLine(t, to.does("link"))
	out := to.does("restore", file)
	after := firstLine(t, to.does("link"))
	if !strings.Contains(out, "2 users") || !strings.Contains(out, after.String()) || after.Fingerprint == before.Fingerprint ||
		after.Fingerprint != firstLine(t, from.does("link")).Fingerprint {
		t.Errorf("restore says %s", out)
	}
	if to.does("user", "list") != from.does("user", "list") {
		t.Error("there are others")
	}

	// What can't be read or written is said, and nothing is left behind.
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, bytes.Replace(content, []byte("Ann"), []byte("Bob"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	to.fails("restore", broken).complains(t, exitFailed, "not a backup", "nothing has been changed", "checksum")
	to.fails("restore", broken+"2").complains(t, exitFailed, broken+"2", "no such file")
	to.fails("backup", filepath.Join(broken, "x")).complains(t, exitFailed, "can't be written", broken)
	if to.does("user", "list") != from.does("user", "list") {
		t.Error("there are others")
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// One data directory has one coordinator, and whoever asks it must find it.
func TestOneCoordinator(t *testing.T) {
	s := startService(t, t.TempDir())
	at, _ := ports(t)
	try(t, nil, "run", "--listen", at.String(), "--metrics-listen", "off", "--data", s.data).
		complains(t, exitFailed, "another coordinator", s.data, "--data")
	s.does("user", "list")
	s.end(syscall.SIGTERM)
	s.fails("user", "list").complains(t, exitFailed, s.data, "earshotd start", "--data")
	s.fails("backup", filepath.Join(s.data, "file")).complains(t, exitFailed, s.data, "earshotd start")
	if _, err := os.Stat(filepath.Join(s.data, "file")); err == nil {
		t.Error("there is a backup of nothing")
	}
}

// A damaged store isn't served.
func TestDamagedData(t *testing.T) {
	data, _ := registered(t)
	if err := os.Truncate(filepath.Join(data, "engine", "seal"), 10); err != nil {
		t.Fatal(err)
	}
	at, _ := ports(t)
	o := try(t, nil, "run", "--listen", at.String(), "--metrics-listen", "off", "--data", data)
	o.complains(t, exitFailed, "damaged", filepath.Join(data, "engine"), "earshotd restore")
}
