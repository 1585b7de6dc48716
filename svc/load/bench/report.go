//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// result is what one scenario took. Times are ms, of the processor's for CPU.
type result struct {
	Server   string `json:"server"`
	Clients  int    `json:"clients"`
	Scenario string `json:"scenario"`
	// Wall is when the last client knew, P50 and P99 when half and nearly all
	// did.
	Wall float64 `json:"wall_ms,omitempty"`
	P50  float64 `json:"p50_ms,omitempty"`
	P99  float64 `json:"p99_ms,omitempty"`
	// Own is when the newcomer itself knew.
	Own float64 `json:"own_ms,omitempty"`
	CPU float64 `json:"cpu_ms"`
	// Busy is what the server's processor was busy in all: there is work for
	// clients that the kernel does, and reckons to nobody.
	Busy float64 `json:"busy_ms,omitempty"`
	// Crowd is the processor time of the clients, all together.
	Crowd float64 `json:"crowd_cpu_ms,omitempty"`
	// Delivered is how many changes at how many clients that were together, and
	// Each the processor time of one in µs.
	Delivered int     `json:"delivered,omitempty"`
	Each      float64 `json:"cpu_us_per_delivered,omitempty"`
	// Memory is kB for each client.
	Memory float64 `json:"kb_per_client,omitempty"`
}

// String is a line of a table.
func (r result) String() string {
	s := fmt.Sprintf("%-10s %6d  %-16s cpu %10.1f ms", r.Server, r.Clients, r.Scenario, r.CPU)
	if r.Busy > 0 {
		s += fmt.Sprintf("  processor busy %8.1f ms", r.Busy)
	}
	if r.Crowd > 0 {
		s += fmt.Sprintf("  clients' %9.1f ms", r.Crowd)
	}
	if r.Wall > 0 {
		s += fmt.Sprintf("  wall %9.1f ms", r.Wall)
	}
	if r.P50 > 0 {
		s += fmt.Sprintf("  p50 %8.1f  p99 %8.1f ms", r.P50, r.P99)
	}
	if r.Own > 0 {
		s += fmt.Sprintf("  own %8.1f ms", r.Own)
	}
	if r.Each > 0 {
		s += fmt.Sprintf("  %7.3f us a change and client", r.Each)
	}
	if r.Memory > 0 {
		s += fmt.Sprintf("  %.1f kB a client", r.Memory)
	}
	return s
}

// write leaves the results as JSON, and as a plot.
func write(dir string, results []result) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "coordinator.json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "coordinator.svg"), plot(results), 0o644)
}
