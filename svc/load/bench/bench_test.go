//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/svc/load"
)

// TestMain is the command itself where that has started its own program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "floor" || os.Args[1] == "newcomer") {
		main()
		return
	}
	dir, err := os.MkdirTemp("", "earshot-bench-test-")
	if err != nil {
		panic(err)
	}
	earshotd = filepath.Join(dir, "earshotd")
	if out, err := exec.Command("go", "build", "-o", earshotd, "earshot/svc/earshotd").CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var earshotd string

// A small run has every scenario of ours, each with a figure, and everybody
// knew everybody after each of them.
func TestMeasure(t *testing.T) {
	p := plan{earshotd: earshotd, out: t.TempDir(), clients: []int{20, 40}, servers: []string{"floor", "floor-udp", "secure", "classic"}, rounds: 1, idle: 60, quiet: 100 * time.Millisecond, idleQuiet: 100 * time.Millisecond, patience: 20 * time.Second}
	results, err := measure(t.Context(), p, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if err := write(p.out, results); err != nil {
		t.Fatal(err)
	}
	for server, scenarios := range map[string][]string{
		"floor":     {"newcomer", "session storm"},
		"floor-udp": {"newcomer", "session storm"},
		"secure":    {"sessions alone", "cold start", "idle", "newcomer", "session storm", "status storm", "reconnect storm", "restart"},
		"classic":   {"sessions alone", "cold start", "idle", "newcomer", "session storm", "reconnect storm", "restart"},
	} {
		for _, scenario := range scenarios {
			for _, n := range p.clients {
				i := slices.IndexFunc(results, func(r result) bool { return r.Server == server && r.Scenario == scenario && r.Clients == n })
				if i < 0 || results[i].CPU <= 0 {
					t.Errorf("%s has no figure for %s with %d clients", server, scenario, n)
				}
			}
		}
	}
	if i := slices.IndexFunc(results, func(r result) bool { return r.Clients == p.idle && r.Scenario == "idle" && r.Memory > 0 }); i < 0 {
		t.Error("there is no figure for idle clients")
	}
	readBack(t, p.out, results)
}

// readBack reads what was written as its readers do.
func readBack(t *testing.T, dir string, results []result) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "coordinator.json"))
	if err != nil {
		t.Fatal(err)
	}
	var read []result
	if err := json.Unmarshal(b, &read); err != nil || !slices.Equal(read, results) {
		t.Errorf("the JSON is %v, %v", read, err)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "coordinator.svg"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
		}
	}
	if want := len(seriesOf(results, "session storm")); lines != want || want < 4 {
		t.Errorf("the plot has %d lines, want %d", lines, want)
	}
}

// A short soak: nobody is ever forgotten, and nothing grows.
func TestSoak(t *testing.T) {
	p := soakPlan{earshotd: earshotd, clients: 150, lasts: 15 * time.Second, checkpoints: 2500 * time.Millisecond, perSecond: 100, seed: 1}
	var log strings.Builder
	if err := runSoak(t.Context(), t.TempDir(), p, io.MultiWriter(&log, t.Output())); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "know everybody"); n < 3 {
		t.Errorf("there were %d checkpoints", n)
	}
}

// A crowd notices who doesn't know what has happened, and who should not be
// there.
func TestCrowdNotices(t *testing.T) {
	s, err := find(servers(earshotd, t.TempDir(), nil), "secure")
	if err != nil {
		t.Fatal(err)
	}
	s.processors, _ = processors()
	r, err := s.begin(t.Context(), 4, plan{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.end()
	crowd := r.crowd.(*load.Secure)
	if err := r.login(t.Context(), 0, 3); err != nil {
		t.Fatal(err)
	}
	settled := func(want error, what string) {
		t.Helper()
		limit := 20 * time.Second
		if want != nil {
			limit = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if _, err := crowd.Settled(ctx); !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	settled(nil, "all is quiet")
	// The reader sleeps after the frame that it waits for now.
	crowd.Asleep(1)
	for _, text := range []string{"busy", "very busy"} {
		if err := crowd.SetStatus(0, text); err != nil {
			t.Fatal(err)
		}
	}
	settled(load.ErrStale, "somebody reads nothing")
	crowd.Awake(1)
	settled(nil, "who has slept")
	crowd.Guest(3, true)
	settled(load.ErrStale, "somebody is missing")
	crowd.Guest(3, false)
	settled(nil, "nobody is missing")
}

// What grows is found, and what does not is not.
func TestFlat(t *testing.T) {
	steady := []checkpoint{{20e6, 500, 200}, {26e6, 480, 190}, {27e6, 500, 200}, {26e6, 490, 200}, {27e6, 500, 200}, {26e6, 500, 200}}
	if err := flat(steady); err != nil {
		t.Errorf("nothing has grown: %v", err)
	}
	leaking := slices.Clone(steady)
	leaking[4].memory, leaking[5].memory = 40e6, 44e6
	if err := flat(leaking); !errors.Is(err, load.ErrLoad) || !strings.Contains(err.Error(), "memory grew") {
		t.Errorf("the memory has grown: %v", err)
	}
	leaking = slices.Clone(steady)
	leaking[5].goroutines = 900
	if err := flat(leaking); !errors.Is(err, load.ErrLoad) || !strings.Contains(err.Error(), "900 goroutines") {
		t.Errorf("goroutines were left: %v", err)
	}
}
