//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"earshot/protocol/classic/classictest"
	"earshot/tray/desktoptest"
)

const (
	// idleWindow is one iteration: -benchtime 60x is ten minutes.
	idleWindow = 10 * time.Second
	// idleSettles is how long a program has after its start; earshot then gives
	// back what that needed.
	idleSettles = 30 * time.Second
	ticks       = 100 // of a second in /proc/PID/stat, on all of Linux (time(7))
)

// BenchmarkIdle is what a messenger costs that is in the tray while nothing
// happens: earshot with 200 people on the roster, and, where they are installed,
// others as they are after their first start, without an
// account and so without anybody. Each is alone on a desktop with a panel, whose
// cost stands beside it. Wake-ups are the times that its threads went to sleep.
func BenchmarkIdle(b *testing.B) {
	const people = 200
	b.Run("earshot", func(b *testing.B) {
		c := startCoordinator(b)
		d := desktoptest.Start(b, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst})
		for i := range people {
			textbook(b, c.addr, fmt.Sprintf("Person %d", i), classictest.UTF8Port)
		}
		ann := startTray(b, c, d, "Ann")
		ann.waitOnline(b, fmt.Sprintf("Person %d", people-1), true)
		measureIdle(b, d, ann.cmd.Process.Pid)
	})
	for _, peer := range []string{"iptux", "pidgin", "qtox"} {
		if _, err := exec.LookPath(peer); err != nil {
			continue
		}
		b.Run(peer, func(b *testing.B) {
			d := desktoptest.Start(b, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst})
			measureIdle(b, d, d.Launch(peer).Process.Pid)
		})
	}
}

// cost is what a group of processes has used, or uses.
type cost struct {
	resident, own int // kB
	cpu           int // ticks
	sleeps        int
}

func (c *cost) add(o cost) {
	c.resident, c.own, c.cpu, c.sleeps = c.resident+o.resident, c.own+o.own, c.cpu+o.cpu, c.sleeps+o.sleeps
}

// measureIdle reports on the process group of a program, and on the panel.
func measureIdle(b *testing.B, d *desktoptest.Desktop, group int) {
	program := func(pid, leader int, _ string) bool { return leader == group || pid == group }
	panel := func(pid, _ int, name string) bool {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		return err == nil && strings.Contains(name, "panel") && strings.Contains(string(environ), "HOME="+d.Home)
	}
	<-time.After(idleSettles)
	before, panelBefore := costOf(program), costOf(panel)
	b.ResetTimer()
	for b.Loop() {
		<-time.After(idleWindow)
	}
	b.StopTimer()
	after, panelAfter := costOf(program), costOf(panel)
	if after.resident == 0 {
		b.Fatal("the program has ended")
	}
	minutes := b.Elapsed().Minutes()
	share := func(before, after cost) float64 {
		return float64(after.cpu-before.cpu) / ticks / (minutes * 60) * 100
	}
	b.ReportMetric(float64(after.resident)/1024, "MB-resident")
	b.ReportMetric(float64(after.own)/1024, "MB-own")
	b.ReportMetric(share(before, after), "%CPU")
	b.ReportMetric(float64(after.sleeps-before.sleeps)/minutes, "wakeups/min")
	b.ReportMetric(share(panelBefore, panelAfter), "panel-%CPU")
	b.ReportMetric(0, "ns/op") // a window's length says nothing
}

// costOf adds up the processes that belong is true of.
func costOf(belong func(pid, group int, name string) bool) (sum cost) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range all {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		// PID (NAME) STATE PPID PGRP …, utime and stime being 14 and 15 (proc(5)).
		open, end := strings.IndexByte(string(stat), '('), strings.LastIndexByte(string(stat), ')')
		if open < 0 || end < open {
			continue
		}
		fields := strings.Fields(string(stat[end+1:]))
		pid := number(strings.TrimSpace(string(stat[:open])))
		if len(fields) < 13 || !belong(pid, number(fields[2]), string(stat[open+1:end])) {
			continue
		}
		c := cost{cpu: number(fields[11]) + number(fields[12])}
		folder := filepath.Dir(file)
		c.resident, c.own = status(folder, "VmRSS"), status(folder, "RssAnon")
		tasks, _ := filepath.Glob(filepath.Join(folder, "task", "*"))
		for _, task := range tasks {
			c.sleeps += status(task, "voluntary_ctxt_switches")
		}
		sum.add(c)
	}
	return sum
}

// status is a number of /proc/…/status, 0 if it isn't there.
func status(folder, name string) int {
	text, err := os.ReadFile(filepath.Join(folder, "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return number(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), " kB")))
		}
	}
	return 0
}

func number(text string) int {
	n, _ := strconv.Atoi(text) // 0 for what is none
	return n
}
