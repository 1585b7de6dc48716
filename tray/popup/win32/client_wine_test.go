//go:build linux

package win32_test

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/installer/bed"
	"earshot/protocol/classic/classictest"
	"earshot/protocol/hostnet"
)

// TestWineClient runs the whole client under wine beside a native one: both on
// a textbook coordinator's roster, over real sockets of the loopback. The
// command line reaches the background process through its named pipe, and the
// popup that it opens sends a message, which arrives in the native client's
// history.
//
// The program is built with an overlay of Go's net package (see bed.Wine), and
// wine is no Windows: this does not prove the pipe's access rights, toasts,
// the firewall's question at the first start, sleep and resume, or logoff.
func TestWineClient(t *testing.T) {
	w := bed.NewWine(t)
	server := classictest.NewServer(hostnet.OS, netip.MustParseAddrPort("127.0.0.1:0"))
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	bob := startNative(t, server.Address().String(), "bob")

	exe := w.Build("./tray/earshot")
	dir := t.TempDir()
	profile := bed.Path(dir)
	t.Cleanup(func() {
		if text, err := os.ReadFile(filepath.Join(dir, "earshot.log")); t.Failed() {
			t.Logf("the client's log: %s %v", text, err)
		}
	})
	w.Start(exe, "--profile", profile, "--server", server.Address().String(), "--name", "王小明", "--language", "en")
	w.Await("the client under wine is on the native one's roster", 40*time.Second, func() bool {
		return strings.Contains(bob("roster"), "王小明")
	})
	// Wine connects the pipe's first caller to a handle at which nobody answers,
	// as Windows 7 did (go-winio issue 313): that one is for nothing, and
	// whichever of the two it is, the other one is answered.
	rosters := []string{w.Run(exe, "roster", "--profile", profile), w.Run(exe, "roster", "--profile", profile)}
	w.Await("the command line reaches the client through its pipe", 20*time.Second, func() bool {
		return slices.ContainsFunc(rosters, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(text), "bob")
		})
	})
	bob("send", "王小明", "are you there?")
	w.Run(exe, "compose", "bob", "--profile", profile)
	w.Await("the popup is shown", 30*time.Second, func() bool {
		out, err := w.X("search", "--onlyvisible", "--name", "^bob – Earshot$")
		return err == nil && out != ""
	})
	w.Do("type", "--delay", "30", "hello from Windows")
	w.Do("key", "Return")
	w.Await("the message arrived", 10*time.Second, func() bool {
		return strings.Contains(bob("history", "王小明"), "hello from Windows")
	})
	w.Shot("wine-client")
	w.Do("key", "Escape")
	w.Run(exe, "quit", "--profile", profile)
	w.Await("the client logged out", 20*time.Second, func() bool {
		return !strings.Contains(strings.Join(server.Names(), ","), "王小明")
	})
}

// startNative starts a client without a desktop and returns what runs its
// commands.
func startNative(t *testing.T, server, name string) func(args ...string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "earshot")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./tray/earshot")
	build.Dir = bed.ModuleRoot(t)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	environment := append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
	common := []string{"--profile", filepath.Join(dir, "profile"), "--language", "en"}
	ctx, stop := context.WithCancel(context.Background())
	client := exec.CommandContext(ctx, program, append(common, "--server", server, "--name", name, "run", "--headless")...)
	client.Env = environment
	client.Cancel = func() error { return client.Process.Signal(os.Interrupt) }
	client.WaitDelay = 10 * time.Second
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = client.Wait()
	})
	return func(args ...string) string {
		command := exec.CommandContext(t.Context(), program, append(common, args...)...)
		var out bytes.Buffer
		command.Env, command.Stdout, command.Stderr = environment, &out, &out
		// A client that is only starting answers with an error, which the
		// caller sees by the text.
		_ = command.Run()
		return out.String()
	}
}
