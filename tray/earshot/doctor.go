package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"

	"earshot/protocol/hostnet"
	"earshot/tray/chat"
	"earshot/tray/client"
	"earshot/tray/doctor"
	"earshot/tray/localapi"
	"earshot/tray/settings"
)

// errUnwell is a report that is not healthy, which has said everything.
var errUnwell = errors.New("not everything works")

// doctor says what of the network works: what the running client finds out, or,
// without one, what can be seen of the coordinator.
func (c *command) doctor() error {
	r, items, err := c.report()
	if err != nil {
		return err
	}
	switch {
	case c.opts.json:
		err = c.printJSON(r)
	default:
		for line := range strings.Lines(r.Text(c.p)) {
			if _, err = fmt.Fprintln(c.out, clean(strings.TrimRight(line, "\n"))); err != nil {
				return err
			}
		}
	}
	if err == nil && c.opts.bundle != "" {
		err = c.bundle(r, items)
	}
	if err == nil && !r.Healthy {
		err = errUnwell
	}
	return err
}

func (c *command) report() (r doctor.Report, items []settings.Item, err error) {
	if !c.opts.json {
		fmt.Fprintln(c.errOut, c.p.T("DoctorLooking"))
	}
	r = newReport()
	status, err := c.client.Ask(c.ctx)
	if errors.Is(err, localapi.ErrNotRunning) {
		server := cmp.Or(c.opts.server, c.live.Values().Server)
		if server == "" {
			return r, nil, errors.New(c.p.T("CliNoServer"))
		}
		link, _, err := c.coordinator(server)
		if err != nil {
			return r, nil, err
		}
		r.Diagnosis = doctor.Alone(c.ctx, hostnet.OS, link.Host, link.Port, nil)
		r.Judge()
		return r, c.live.List(c.p), nil
	}
	if err != nil {
		return r, nil, err
	}
	r.Running, r.Connection, r.Problem = true, status.Connection, status.Problem
	if r.Diagnosis, err = c.client.Diagnose(c.ctx, c.opts.words); err != nil {
		return r, nil, err
	}
	r.Judge()
	items, err = c.client.Settings(c.ctx)
	return r, items, err
}

func newReport() doctor.Report {
	return doctor.Report{Version: version, System: runtime.GOOS + "/" + runtime.GOARCH}
}

// examine is the report of the running client itself.
func examine(ctx context.Context, engine *client.Engine) (doctor.Report, error) {
	r, status := newReport(), engine.Status()
	r.Running, r.Connection, r.Problem = true, status.Connection, status.Problem
	var err error
	r.Diagnosis, err = engine.Diagnose(ctx, nil)
	r.Judge()
	return r, err
}

// doctorPage is that in the browser.
func (c *command) doctorPage(engine *client.Engine) http.Handler {
	return doctor.Page(func(r *http.Request) (doctor.Report, error) { return examine(r.Context(), engine) }, c.p)
}

// bundle writes the file for whoever helps.
func (c *command) bundle(r doctor.Report, items []settings.Item) error {
	f, err := os.OpenFile(c.opts.bundle, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return errors.New(c.p.T("CliBundleExists", "File", clean(c.opts.bundle)))
	}
	if err != nil {
		return err
	}
	log := c.profile.Log()
	err = errors.Join(doctor.Bundle(f, r, items, log, log+".1"), f.Close())
	if err != nil {
		_ = os.Remove(f.Name()) // half of one helps nobody
		return err
	}
	if c.opts.json {
		return nil
	}
	_, err = fmt.Fprintln(c.out, c.p.T("CliBundle", "File", clean(c.opts.bundle)))
	return err
}

// way is how a person is reached, in a word or two; empty if nobody knows.
func (c *command) way(p chat.Person) string {
	switch {
	case p.Unreachable != "":
		return c.p.T("CliWayNone", "Why", p.Unreachable)
	case !p.Connected:
		return ""
	case p.Route.Straight():
		return c.p.T("CliWayDirect")
	case p.Route == chat.RouteRelayed:
		return c.p.T("CliWayRelayed")
	}
	return ""
}
