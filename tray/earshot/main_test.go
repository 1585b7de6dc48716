package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/i18n"
)

// program is the built client.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "earshot-cli-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "earshot")
	build := exec.Command("go", "build", "-ldflags", "-X main.version=1.2.3", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err == nil {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// account is a home of its own.
type account struct {
	t    *testing.T
	home string
	env  []string
}

func newAccount(t *testing.T) *account {
	t.Helper()
	home := t.TempDir()
	a := &account{t: t, home: home}
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); !strings.HasPrefix(name, "XDG_") && name != "DISPLAY" && name != "WAYLAND_DISPLAY" {
			a.env = append(a.env, e)
		}
	}
	a.env = append(a.env, "HOME="+home, "XDG_RUNTIME_DIR="+home, "LANG=C.UTF-8", "LANGUAGE=", "LC_ALL=")
	return a
}

// run runs a command to its end.
func (a *account) run(args ...string) (stdout, stderr string, code int) {
	a.t.Helper()
	return a.runWith(nil, args...)
}

func (a *account) runWith(in io.Reader, args ...string) (stdout, stderr string, code int) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errOut bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = a.env, in, &out, &errOut
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		a.t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

func (a *account) must(args ...string) string {
	a.t.Helper()
	out, errOut, code := a.run(args...)
	if code != 0 {
		a.t.Fatalf("earshot %q: exit code %d: %s", args, code, errOut)
	}
	return out
}

// fails runs a command that must fail, with one sentence on standard error.
func (a *account) fails(code int, part string, args ...string) {
	a.t.Helper()
	_, errOut, got := a.run(args...)
	if got != code || !strings.Contains(errOut, part) {
		a.t.Errorf("earshot %q: exit code %d, not %d: %s", args, got, code, errOut)
	}
	if code == exitFailed && (strings.Count(errOut, "\n") != 1 || !strings.HasSuffix(errOut, ".\n")) {
		a.t.Errorf("earshot %q: not one sentence: %q", args, errOut)
	}
}

// deadServer is an address at which no coordinator is, and keeps it so.
func deadServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// start starts a headless client and returns when its API answers.
func (a *account) start(args ...string) *exec.Cmd {
	a.t.Helper()
	cmd := exec.Command(program, append([]string{"run", "--headless"}, args...)...)
	cmd.Env = a.env
	out, err := cmd.StdoutPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		a.t.Fatalf("the client printed %q and ended", line)
	}
	return cmd
}

func TestUsage(t *testing.T) {
	a := newAccount(t)
	for _, args := range [][]string{
		{"nonsense"}, {"roster", "--wrong"}, {"roster", "word"}, {"send"}, {"send", "Bo"}, {"send", "--everyone"},
		{"--limit", "0", "history"}, {"roster", "--limit", "3"}, {"run", "--encoding", "ebcdic"}, {"run", "--server"},
		{"autostart"}, {"autostart", "maybe"}, {"run", "--language", "!"}, {"quit", "--json"},
	} {
		if _, errOut, code := a.run(args...); code != exitUsage || !strings.Contains(errOut, "earshot help") {
			t.Errorf("earshot %q: exit code %d: %s", args, code, errOut)
		}
	}
	if out := a.must("version"); out != "earshot 1.2.3\n" {
		t.Errorf("version prints %q", out)
	}
	help := a.must("help")
	for name := range verbs() {
		if name != "popup" && name != "run" && !strings.Contains(help, "earshot "+name) {
			t.Errorf("help does not tell of %s", name)
		}
	}
	if out := a.must("--language", "zh-Hans", "--help"); !strings.Contains(out, "退出码") {
		t.Errorf("help in Chinese: %s", out)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	a := newAccount(t)
	for _, command := range [][]string{{"roster"}, {"send", "Bo", "x"}, {"watch"}, {"compose"}, {"history"}, {"status"}, {"quit"}} {
		a.fails(exitFailed, "not running", command...)
	}
	a.fails(exitFailed, "--server", "run", "--headless")
	a.fails(exitFailed, "--name", "run", "--headless", "--server", "localhost", "--name", "a,b")
	a.fails(exitFailed, "HOST:PORT", "run", "--headless", "--server", "localhost:99999")
	if runtime.GOOS == "linux" {
		a.fails(exitFailed, "--headless", "--server", "localhost")
	}
	profile := filepath.Join(a.home, "p")
	if err := os.MkdirAll(profile, 0o700); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(profile, "settings.toml")
	if err := os.WriteFile(settings, []byte("name = \"Ann\"\ncolour = \"red\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.fails(exitFailed, "line 2", "roster", "--profile", profile)
}

func TestOneClientForEachProfile(t *testing.T) {
	a := newAccount(t)
	first := a.start("--server", deadServer(t), "--name", "Ann")
	a.fails(exitFailed, "already", "run", "--headless")
	// Without --headless it asks the first for its Find window, for which
	// there is no desktop here.
	a.fails(exitFailed, "window", "run")

	other := filepath.Join(a.home, "other")
	second := a.start("--profile", other, "--server", deadServer(t), "--name", "Bo")
	var status chat.Status
	if err := json.Unmarshal([]byte(a.must("--profile", other, "status", "--json")), &status); err != nil || status.Name != "Bo" {
		t.Fatalf("%+v, %v", status, err)
	}
	if status.Version != "1.2.3" || status.Connection == chat.Online {
		t.Errorf("%+v", status)
	}
	a.must("quit", "--profile", other)
	if err := second.Wait(); err != nil {
		t.Errorf("after quit: %v", err)
	}
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(a.home, "earshot-*.sock")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// What was handed over is there after a kill, and the socket of the killed
// process is in nobody's way. Flags that were given once need not be again.
func TestKilledClientStartsAgain(t *testing.T) {
	a := newAccount(t)
	killed := a.start("--server", deadServer(t), "--name", "Ann 安", "--language", "en")
	if out := a.must("send", "--everyone", "hello", "-5 degrees"); !strings.Contains(out, "waits") {
		t.Errorf("send says %q", out)
	}
	if _, errOut, code := a.runWith(strings.NewReader("line 1\nline 2\n"), "send", "--everyone", "-"); code != 0 {
		t.Fatal(errOut)
	}
	a.fails(exitFailed, "roster", "send", "Nobody", "hello")
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	a.fails(exitFailed, "not running", "roster")
	a.start()
	var messages []chat.Message
	if err := json.Unmarshal([]byte(a.must("history", "--json")), &messages); err != nil {
		t.Fatal(err)
	}
	if len(messages) != 2 || messages[0].Text != "hello -5 degrees" || messages[1].Text != "line 1\nline 2" ||
		messages[0].State != chat.Sending || messages[0].Sender != "Ann 安" {
		t.Errorf("%+v", messages)
	}
	if out := a.must("history"); !strings.Contains(out, "line 1\n          line 2\n") {
		t.Errorf("history prints\n%s", out)
	}
	if err := json.Unmarshal([]byte(a.must("history", "--limit", "1", "--json")), &messages); err != nil || len(messages) != 1 {
		t.Errorf("%+v, %v", messages, err)
	}
}

func TestWatchEndsWithTheClient(t *testing.T) {
	for _, kill := range []bool{false, true} {
		a := newAccount(t)
		client := a.start("--server", deadServer(t), "--name", "Ann")
		watch := exec.Command(program, "watch", "--json")
		watch.Env = a.env
		out, err := watch.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := watch.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		var e chat.Event
		line, err := lines.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &e)
		}
		if err != nil || e.Type != chat.EventSnapshot || e.Status.Name != "Ann" {
			t.Fatalf("%s: %v", line, err)
		}
		if kill {
			_ = client.Process.Kill()
		} else {
			a.must("quit")
		}
		if _, err := io.Copy(io.Discard, lines); err != nil {
			t.Fatal(err)
		}
		if err := watch.Wait(); (err != nil) != kill {
			t.Errorf("killed = %v: watch ended with %v", kill, err)
		}
	}
}

func TestAutostartOfAProfile(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // the entries of other systems are not files in HOME
	}
	a := newAccount(t)
	profile := filepath.Join(a.home, "my profile")
	a.must("autostart", "on", "--profile", profile)
	entries, _ := filepath.Glob(filepath.Join(a.home, ".config", "autostart", "*.desktop"))
	if len(entries) != 1 {
		t.Fatalf("entries: %v", entries)
	}
	b, err := os.ReadFile(entries[0])
	if err != nil || !strings.Contains(string(b), `"run" "--profile" "`+profile+`"`) {
		t.Errorf("%s, %v", b, err)
	}
	if out := a.must("autostart", "status"); !strings.Contains(out, "does not") {
		t.Errorf("the usual profile: %s", out)
	}
	if out := a.must("autostart", "off", "--profile", profile); !strings.Contains(out, "does not") {
		t.Errorf("off: %s", out)
	}
}

func TestPrintedTextIsHarmless(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 5, 0, 0, time.Local)
	var out bytes.Buffer
	c := &command{out: &out}
	c.p = i18n.New("en")
	err := c.printHistory([]chat.Message{
		{Peer: "Bo", Sender: "B\x1b]0;o", Text: "a\x1b[2Jb\u202ec\n\x07d", At: at, State: chat.Received, Doubtful: true},
		{Peer: "Bo", Sender: "Me", Text: "well", At: at, State: chat.Failed, Problem: "It\x00 failed."},
	}, true)
	if err != nil {
		t.Fatal(err)
	}
	want := "── 2026-11-23\n09:05:00  B␛]0;o: a␛[2Jb\uFFFDc\n          ␇d\n          (from an unexpected address)\n" +
		"09:05:00  You → Bo: well\n          (It␀ failed.)\n"
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
}

func TestRosterIsAligned(t *testing.T) {
	var out bytes.Buffer
	c := &command{out: &out, p: i18n.New("en")}
	err := c.printRoster([]chat.Person{
		{Name: "张三", Online: true, Unread: 2},
		{Name: "Ann", Online: true, Verified: true},
		{Name: "👨‍👩‍👧 Fam", Online: true, Stale: true},
		{Name: strings.Repeat("长", 60)},
	})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("长", 24) + "… "
	want := "● 张三" + strings.Repeat(" ", 48) + "online, not verified · 2 unread messages\n" +
		"● Ann" + strings.Repeat(" ", 49) + "online, verified\n" +
		"◌ 👨‍👩‍👧 Fam" + strings.Repeat(" ", 46) + "was online when the connection was lost\n" +
		"○ " + long + "  offline\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
