//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"earshot/tray/browsertest"
	"earshot/tray/chat"
)

// found are the texts of what a search finds.
func (k *client) found(t testing.TB, flags ...string) (texts []string) {
	t.Helper()
	var messages []chat.Message
	if err := json.Unmarshal([]byte(k.must(t, append([]string{"history", "--json"}, flags...)...)), &messages); err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		texts = append(texts, m.Text)
	}
	return texts
}

// What two people wrote is found by any part of it, exported, and deleted for
// good; all but the page with or without a client that runs.
func TestHistory(t *testing.T) {
	c := startCoordinator(t)
	ann, bo := startClient(t, c, "Ann", "auto"), startClient(t, c, "Bo", "auto")
	ann.waitOnline(t, "Bo", true)
	bo.waitOnline(t, "Ann", true)
	for _, text := range []string{"The budget of next year", "下午三点在人民广场开会", "Forget what I said"} {
		ann.must(t, "send", "Bo", text)
		bo.waitMessage(t, "Ann", text)
	}
	bo.must(t, "send", "Ann", "BUDGET? 好的")
	ann.waitMessage(t, "Bo", "BUDGET? 好的")

	look := func(when string) {
		t.Helper()
		for _, test := range []struct {
			text string
			want int
		}{{"budget", 2}, {"人民广场", 1}, {"广场", 1}, {"好", 1}, {"next budget", 1}, {`"year next"`, 0}, {"said", 1}} {
			if got := bo.found(t, "Ann", "--search", test.text); len(got) != test.want {
				t.Errorf("%s: %q is found in %q", when, test.text, got)
			}
		}
	}
	look("while it runs")
	if out := bo.must(t, "history", "--search", "zebra"); out != "No message contains that.\n" {
		t.Errorf("nothing found prints %q", out)
	}

	dir := t.TempDir()
	file := filepath.Join(dir, "all.json")
	if out := bo.must(t, "history", "--export", file); out != "4 messages are in "+file+".\n" {
		t.Errorf("export prints %q", out)
	}
	var exported []chat.Message
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &exported)
	}
	if err != nil || len(exported) != 4 || exported[1].Text != "下午三点在人民广场开会" {
		t.Errorf("%v: %s", err, b)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, errOut, code := bo.run("history", "--export", file); code != 1 || !strings.Contains(errOut, "already") {
		t.Errorf("over another file: %d %s", code, errOut)
	}
	if out := bo.must(t, "history", "Ann", "--all"); !strings.Contains(out, "  Ann: Forget what I said\n") || !strings.Contains(out, "  Bo → Ann: BUDGET? 好的\n") {
		t.Errorf("as text it is\n%s", out)
	}

	b2 := browsertest.Start(t)
	p := b2.Open(strings.TrimSpace(bo.must(t, "history", "--page")), browsertest.Look{})
	p.Await("the page", `document.title === "History – Earshot"`)
	p.Type("人民")
	p.Press("Enter")
	p.Await("what is found", `document.querySelector("mark")?.textContent === "人民"`)
	p.Screenshot("e2e-page-history")

	// One is deleted while the client runs, and what it takes with it is counted.
	forget := bo.find(t, "Ann", "Forget what I said")
	if out := bo.must(t, "history", "--delete", "--id", strconv.FormatInt(forget.ID, 10)); out != "1 message is deleted.\n" {
		t.Errorf("delete prints %q", out)
	}
	if got := bo.found(t, "--search", "Forget"); len(got) != 0 {
		t.Errorf("what was deleted is found: %q", got)
	}
	eventually(t, "two are unread", func() bool { return bo.status(t).Unread == 2 })
	if got := ann.found(t, "--search", "Forget"); len(got) != 1 {
		t.Errorf("Ann has %q", got)
	}
	for _, wrong := range [][]string{{"--delete"}, {"--delete", "Ann", "--all"}, {"--id", "3"}, {"--delete", "Ann", "--search", "x"}} {
		if _, _, code := bo.run(append([]string{"history"}, wrong...)...); code != 2 {
			t.Errorf("%q: exit code %d", wrong, code)
		}
	}

	bo.must(t, "quit")
	if got := bo.found(t, "--search", "广场"); len(got) != 1 {
		t.Errorf("without the client %q is found", got)
	}
	if out := bo.must(t, "history", "--delete", "Ann"); out != "3 messages are deleted.\n" {
		t.Errorf("delete prints %q", out)
	}
	bo.start(t)
	if s := bo.status(t); s.Unread != 0 || len(bo.found(t)) != 0 {
		t.Errorf("after the start %d are unread", s.Unread)
	}
	// On the disk there is nothing left to read.
	err = filepath.WalkDir(bo.profile, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, gone := range []string{"budget of next", "人民广场", "Forget what"} {
			if strings.Contains(string(b), gone) {
				t.Errorf("%s holds %q", path, gone)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
