package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/profile"
	"earshot/tray/settings"
)

// setting returns a setting as `earshot settings get --json` tells of it.
func (k *client) setting(t testing.TB, name string) settings.Item {
	t.Helper()
	var item settings.Item
	if err := json.Unmarshal([]byte(k.must(t, "settings", "get", name, "--json")), &item); err != nil {
		t.Fatal(err)
	}
	return item
}

func isSettings(name string) func(chat.Event) bool {
	return func(e chat.Event) bool { return e.Type == chat.EventSettings && slices.Contains(e.Settings, name) }
}

// What is set while the client runs takes effect at once and survives a crash,
// and what is set while it doesn't is there when it does.
func TestSettingsTakeEffect(t *testing.T) {
	c := startCoordinator(t)
	ann, bo := startClient(t, c, "Ann", "auto"), startClient(t, c, "Bo", "auto")
	ann.waitPerson(t, "Bo", "online and secure", func(p chat.Person) bool { return p.Online && p.Secure })
	bo.waitOnline(t, "Ann", true)

	// Bo reads, and nobody learns of it.
	if out := bo.must(t, "settings", "set", "read_receipts", "off"); out != "read_receipts = off\n" {
		t.Errorf("set printed %q", out)
	}
	bo.wait(t, "the change", isSettings("read_receipts"))
	ann.must(t, "send", "Bo", "secret?")
	bo.waitMessage(t, "Ann", "secret?")
	bo.markRead(t, "Ann")
	// Now they are, and Ann learns of the second one only.
	bo.must(t, "settings", "reset", "read_receipts")
	ann.must(t, "send", "Bo", "open?")
	bo.waitMessage(t, "Ann", "open?")
	bo.markRead(t, "Ann")
	ann.waitState(t, "Bo", "open?", "read", inState(chat.Read))
	if m := ann.find(t, "Bo", "secret?"); m.State != chat.Delivered {
		t.Errorf("what Bo read in secret is %s", m.State)
	}

	// The language changes under a running client.
	bo.must(t, "settings", "set", "language", "zh-Hans")
	eventually(t, "Bo's client speaks Chinese", func() bool { return bo.status(t).Language == "zh-Hans" })
	if _, errOut, code := bo.run("settings", "set", "away_after", "soon"); code != 1 || !strings.Contains(errOut, "请写") {
		t.Errorf("a wrong value: exit code %d, %s", code, errOut)
	}

	if _, errOut, code := ann.run("settings", "set", "name", "Anna"); code != 1 || !strings.Contains(errOut, "is called Ann") {
		t.Errorf("another name at a secure coordinator: exit code %d, %s", code, errOut)
	}

	// A crash takes nothing back; and without the client the profile is changed.
	bo.must(t, "settings", "set", "people.Ann.login", "once")
	bo.kill()
	if text := bo.setting(t, "people.Ann.login").Text; text != "once" {
		t.Errorf("after the crash it is %q", text)
	}
	bo.must(t, "settings", "set", "sounds", "off")
	bo.start(t)
	if item := bo.setting(t, "sounds"); item.Value != false || !item.Chosen {
		t.Errorf("after the start it is %+v", item)
	}
	if s := bo.status(t); s.Language != "zh-Hans" {
		t.Errorf("after the start the language is %s", s.Language)
	}
	if out := bo.must(t, "settings"); !strings.Contains(out, "* sounds") || !strings.Contains(out, "声音") {
		t.Errorf("the list is\n%s", out)
	}
}

// markRead says that the client's person has seen what peer wrote, as the
// window does.
func (k *client) markRead(t *testing.T, peer string) {
	t.Helper()
	p, err := profile.Open(k.profile)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", filepath.Dir(k.profile))
	api := localapi.Dial(p.Socket())
	defer api.Close()
	if err := api.MarkRead(t.Context(), peer); err != nil {
		t.Fatal(err)
	}
}

// Another coordinator is logged in at, at once, and is the one after a restart;
// an address that can't be is refused and changes nothing.
func TestAnotherCoordinator(t *testing.T) {
	first, second := startCoordinator(t), startClassicCoordinator(t)
	ann, bo := startClient(t, first, "Ann", "auto"), startClient(t, second, "Bo", "auto")
	if _, errOut, code := ann.run("settings", "set", "server", "no such place"); code != 1 || !strings.Contains(errOut, "HOST:PORT") {
		t.Errorf("a wrong address: exit code %d, %s", code, errOut)
	}
	ann.mark()
	ann.must(t, "settings", "set", "server", second.addr.String())
	ann.wait(t, "the other coordinator", func(e chat.Event) bool {
		return e.Status != nil && e.Status.Connection == chat.Online && e.Status.Server == second.addr.String()
	})
	ann.waitOnline(t, "Bo", true)
	bo.waitOnline(t, "Ann", true)
	bo.must(t, "send", "Ann", "welcome")
	ann.waitMessage(t, "Bo", "welcome")

	// By the classic protocol a name is whoever logs in with it.
	ann.must(t, "settings", "set", "name", "Anna")
	bo.waitOnline(t, "Anna", true)
	bo.waitOnline(t, "Ann", false)
	ann.term(t)
	ann.server, ann.args = second.addr.String(), nil
	ann.start(t)
	bo.waitOnline(t, "Anna", true)
}

// A policy is built into the test's program by the linker: nothing at run time
// leads to another one.
func TestPolicy(t *testing.T) {
	dir := t.TempDir()
	file, program := filepath.Join(dir, "policy.toml"), filepath.Join(dir, "earshot")
	build := exec.Command("go", "build", "-o", program, "-ldflags", "-X earshot/tray/policy.systemFile="+file, "earshot/tray/earshot")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := startCoordinator(t)
	policy := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ann := newClient(t, c, "Ann")
	run := func(args ...string) (string, int) {
		cmd := exec.Command(program, append(args, "--profile", ann.profile)...)
		cmd.Env = append(os.Environ(), ann.env...)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}

	policy("[locked]\nread_receipts = false\nserver = \"" + c.addr.String() + "\"\n\n[suggested]\naway_after = 5\n")
	for _, args := range [][]string{{"settings"}, {"run", "--headless", "--name", "Ann"}, {"autostart", "status"}} {
		if out, code := run(args...); code != 1 || !strings.Contains(out, file+", line 5") || !strings.Contains(out, "suggested") {
			t.Errorf("with a wrong policy, %q: exit code %d, %s", args, code, out)
		}
	}

	policy("managed_by = \"IT of Example\"\n[locked]\nread_receipts = false\nserver = \"" + c.addr.String() + "\"\n[recommended]\naway_after = 5\n")
	if out, code := run("run", "--headless", "--server", "elsewhere.example.com"); code != 1 || !strings.Contains(out, "IT of Example") {
		t.Errorf("another coordinator than the locked one: exit code %d, %s", code, out)
	}
	// The coordinator is the policy's, and needs no flag.
	p := start(t, "earshot with a policy", ann.env, program, "run", "--headless", "--profile", ann.profile, "--name", "Ann")
	eventually(t, "Ann is online where the policy says", func() bool {
		select {
		case <-p.exited:
			t.Fatalf("it ended: %s", p.output)
		default:
		}
		out, errOut, code := ann.run("status", "--json")
		if code != 0 && !strings.Contains(errOut, "not running") {
			t.Fatalf("%s", errOut)
		}
		var s chat.Status
		return code == 0 && json.Unmarshal([]byte(out), &s) == nil && s.Connection == chat.Online
	})
	if item := ann.setting(t, "read_receipts"); !item.Locked || item.Value != false || !strings.Contains(item.LockedBy, "IT of Example") || !strings.Contains(item.LockedBy, file+":3") {
		t.Errorf("%+v", item)
	}
	if item := ann.setting(t, "away_after"); item.Locked || item.Value != 5.0 || item.Chosen {
		t.Errorf("%+v", item)
	}
	if _, errOut, code := ann.run("settings", "set", "read_receipts", "on"); code != 1 || !strings.Contains(errOut, "IT of Example has set this") {
		t.Errorf("a locked setting: exit code %d, %s", code, errOut)
	}
	if out := ann.must(t, "settings"); !strings.Contains(out, "! read_receipts") {
		t.Errorf("the list is\n%s", out)
	}
}
