package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"earshot/tray/i18n"
	"earshot/tray/settings"
)

// nowhere is where settings are of which nothing is kept.
type nowhere struct{}

func (nowhere) Load() (settings.Chosen, error) { return settings.Chosen{}, nil }
func (nowhere) Save(settings.Chosen) error     { return nil }

// Another policy is in effect within minutes; one that is wrong is told of once,
// and the last good one holds.
func TestPolicyChangesWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live, err := settings.Open(nowhere{}, settings.Policy{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := &command{p: i18n.New("zh-Hans"), live: live}
		var content atomic.Value
		content.Store("")
		load := func() (settings.Policy, error) {
			return settings.DecodePolicy("policy.toml", []byte(content.Load().(string)))
		}
		var said []string
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.watchPolicy(ctx, load, func(s string) { said = append(said, s) }, slog.New(slog.DiscardHandler))
		}()
		pass := func() {
			time.Sleep(policyEvery)
			synctest.Wait()
		}
		synctest.Wait()
		content.Store("[locked]\nsounds = false\n")
		pass()
		if live.Values().Sounds {
			t.Error("the policy is not in effect")
		}
		content.Store("[locked]\nsound = false\n")
		pass()
		pass()
		if live.Values().Sounds || len(said) != 1 || !strings.Contains(said[0], "policy.toml 第 2 行") {
			t.Errorf("said %q", said)
		}
		content.Store("")
		pass()
		content.Store("nonsense")
		pass()
		if !live.Values().Sounds || len(said) != 2 || slices.Contains(said[1:], said[0]) {
			t.Errorf("said %q", said)
		}
		cancel()
		<-done
	})
}

// Settings are changed in the profile where no client runs, and wrong usage is
// said.
func TestSettingsCommand(t *testing.T) {
	a := newAccount(t)
	if out := a.must("settings", "set", "people.dr. who.login", "once"); out != "people.dr. who.login = once\n" {
		t.Errorf("set prints %q", out)
	}
	if out := a.must("settings", "get", "people.Dr. Who.login"); out != "once\n" {
		t.Errorf("get prints %q", out)
	}
	if out := a.must("settings", "set", "keyring", "off"); !strings.Contains(out, "next time") {
		t.Errorf("set prints %q", out)
	}
	a.must("settings", "reset")
	if out := a.must("settings"); strings.Contains(out, "* people") || strings.Contains(out, "* keyring") || !strings.Contains(out, "\n  sounds            on") {
		t.Errorf("the list is\n%s", out)
	}
	if out := a.must("settings", "list", "--json"); !strings.Contains(out, `"name": "sounds"`) && !strings.Contains(out, `"name":"sounds"`) {
		t.Errorf("the list is %s", out)
	}
	for _, args := range [][]string{{"set"}, {"set", "sounds"}, {"get"}, {"list", "sounds"}, {"change"}, {"set", "sounds", "on", "--json"}} {
		if _, errOut, code := a.run(append([]string{"settings"}, args...)...); code != exitUsage {
			t.Errorf("settings %q: exit code %d: %s", args, code, errOut)
		}
	}
	a.fails(exitFailed, "no setting called", "settings", "get", "nonsense")
	a.fails(exitFailed, "on or off", "settings", "set", "sounds", "loud")
	a.fails(exitFailed, "not running", "settings", "page")
}
