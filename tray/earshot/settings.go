package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"earshot/p2p/dual"
	"earshot/tray/autostart"
	"earshot/tray/client"
	"earshot/tray/i18n"
	"earshot/tray/idle"
	"earshot/tray/localapi"
	"earshot/tray/pagehost"
	"earshot/tray/policy"
	"earshot/tray/profile"
	"earshot/tray/settings"
)

// openSettings reads the policy, which may have more to say about the language.
func (c *command) openSettings() error {
	rules, err := policy.Load()
	if err != nil {
		return err
	}
	outside := make(map[string]settings.Outside)
	if entry, err := c.loginEntry(); err == nil {
		outside["start_at_login"] = atLogin{entry}
	}
	if c.live, err = settings.Open(c.profile, rules, outside); err != nil {
		return err
	}
	if c.opts.language == "" {
		c.p = i18n.New(c.live.Values().Language)
	}
	return nil
}

// atLogin is the setting that the operating system keeps.
type atLogin struct{ autostart.Entry }

// Set implements settings.Outside.
func (a atLogin) Set(on bool) error {
	if on {
		return a.On()
	}
	return a.Off()
}

// adapt brings what runs into step with settings that have changed. It never
// waits for long.
func (c *command) adapt(names []string, engine *client.Engine, network *dual.Transport, awayChanged chan<- struct{}) {
	has := func(any ...string) bool {
		return slices.ContainsFunc(any, func(name string) bool { return slices.Contains(names, name) })
	}
	if has("language") {
		c.p.Switch(c.live.Values().Language)
	}
	if has("away_after") {
		select {
		case awayChanged <- struct{}{}:
		default: // it is known already
		}
	}
	engine.Adapt(names, c.serverName(c.live.Values().Server))
	if has("server", "name", "encoding", "port_mapping") {
		network.Renew()
	}
}

// watchAway tells on when the person has left the computer alone, after
// whichever time is set, until ctx ends.
func (c *command) watchAway(ctx context.Context, changed <-chan struct{}, on func(away bool), log *slog.Logger) {
	for ctx.Err() == nil {
		watch, cancel := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			after := c.live.Values().AwayTime()
			if after == 0 {
				return
			}
			if err := idle.Watch(watch, after, on); err != nil {
				log.Info("nobody tells when the person is away", "error", err)
			}
		}()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		cancel()
		<-ended
		if ctx.Err() == nil {
			on(false)
		}
	}
}

// policyEvery is how often it is looked for another policy.
const policyEvery = 10 * time.Minute

// watchPolicy puts another policy into effect when there is one, until ctx ends.
// One that can't be understood changes nothing; say is told of it, once.
func (c *command) watchPolicy(ctx context.Context, load func() (settings.Policy, error), say func(sentence string), log *slog.Logger) {
	tick := time.NewTicker(policyEvery)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		rules, err := load()
		if err == nil {
			err = c.live.Adopt(ctx, rules)
		}
		switch {
		case ctx.Err() != nil:
		case err == nil:
			said = ""
		case err.Error() != said:
			said = err.Error()
			log.Error("the policy is not in effect", "error", err)
			say(c.explain(err))
		}
	}
}

// keeper is whoever can change settings: the running client, or the profile.
type keeper interface {
	SetSetting(ctx context.Context, name string, value any) error
	ResetSetting(ctx context.Context, name string) error
	Settings(ctx context.Context) ([]settings.Item, error)
}

// shelf is the profile of a client that doesn't run.
type shelf struct{ c *command }

func (s shelf) SetSetting(ctx context.Context, name string, value any) error {
	return s.c.live.Set(ctx, name, value)
}
func (s shelf) ResetSetting(ctx context.Context, name string) error {
	return s.c.live.Reset(ctx, name)
}
func (s shelf) Settings(context.Context) ([]settings.Item, error) { return s.c.live.List(s.c.p), nil }

// keeper returns the running client, or the profile, in which none can start
// before release is called.
func (c *command) keeper() (k keeper, release func(), err error) {
	// One that has the profile and doesn't answer is starting, or ending.
	ctx, cancel := context.WithTimeout(c.ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := c.client.Ask(ctx); err == nil {
			return c.client, func() {}, nil
		} else if !errors.Is(err, localapi.ErrNotRunning) {
			return nil, nil, err
		}
		lock, err := c.profile.Lock()
		if err == nil {
			return shelf{c}, func() { _ = lock.Release() }, nil
		}
		if !errors.Is(err, profile.ErrInUse) {
			return nil, nil, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, nil, localapi.ErrNotRunning
		}
	}
}

// settings shows what can be set, and sets it.
func (c *command) settings() error {
	words := c.opts.words
	if len(words) == 0 {
		words = []string{"list"}
	}
	usage := usageError(c.p.T("CliSettingsUsage"))
	verb, words := words[0], words[1:]
	if most, known := map[string]int{"list": 0, "get": 1, "set": 2, "reset": 1, "page": 0}[verb]; !known || len(words) > most {
		return usage
	}
	if verb == "set" && len(words) < 2 || verb == "get" && len(words) < 1 {
		return usage
	}
	if c.opts.json && verb != "list" && verb != "get" {
		return usageError(c.p.T("CliFlagNotHere", "Flag", "--json", "Command", "settings "+verb))
	}
	if verb == "page" {
		return c.page("settings")
	}
	k, release, err := c.keeper()
	if err != nil {
		return err
	}
	defer release()
	switch verb {
	case "set":
		if err := k.SetSetting(c.ctx, words[0], words[1]); err != nil {
			return err
		}
	case "reset":
		name := ""
		if len(words) > 0 {
			name = words[0]
		}
		if err := k.ResetSetting(c.ctx, name); err != nil || name == "" {
			return err
		}
	}
	items, err := k.Settings(c.ctx)
	if err != nil {
		return err
	}
	if verb == "list" {
		return c.printSettings(items)
	}
	item, err := settings.Pick(items, words[0])
	if err != nil {
		return err
	}
	switch {
	case c.opts.json:
		return c.printJSON(item)
	case verb == "get":
		_, err = fmt.Fprintln(c.out, clean(item.Text))
	default:
		_, err = fmt.Fprintln(c.out, clean(item.Name+" = "+item.Text))
		if err == nil && item.NextStart {
			_, err = fmt.Fprintln(c.out, c.p.T("CliSettingNextStart"))
		}
	}
	return err
}

// printSettings shows all settings under the headings of their groups.
func (c *command) printSettings(items []settings.Item) error {
	if c.opts.json {
		return c.printJSON(items)
	}
	var out strings.Builder
	for _, g := range settings.Groups() {
		if out.Len() > 0 {
			out.WriteByte('\n')
		}
		out.WriteString(c.p.T(g.Label) + "\n")
		for _, item := range items {
			if item.Group != g.Group {
				continue
			}
			mark := " "
			switch {
			case item.Locked:
				mark = "!"
			case item.Chosen:
				mark = "*"
			}
			line := fmt.Sprintf("%s %-17s %s  %s", mark, item.Name, fit(clean(item.Text), 24), item.Label)
			if item.Locked {
				line += "  (" + clean(item.LockedBy) + ")"
			}
			out.WriteString(line + "\n")
		}
	}
	out.WriteString("\n" + c.p.T("CliSettingsMarks") + "\n")
	_, err := fmt.Fprint(c.out, out.String())
	return err
}

// page opens a page of the running client in the browser, and prints the link,
// which is of use where there is none.
func (c *command) page(name string) error {
	url, err := c.client.Page(c.ctx, name)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c.out, url); err != nil || !hasDesktop() {
		return err
	}
	return pagehost.Browse(url)
}
