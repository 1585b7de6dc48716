//go:build linux

// Package kernelnat holds hostnet's NATs in memory to what Linux's do: its tests
// play the same scenes in both.
package kernelnat

import (
	"os"
	"os/exec"
	"testing"
)

// need is the one place where a test is skipped, with what is missing; where CI
// is true it fails.
func need(t testing.TB, programs ...string) {
	t.Helper()
	sentence := ""
	if os.Geteuid() != 0 {
		sentence = "this test makes network namespaces and needs root"
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			sentence = "this test needs " + program + "; make deps says which packages to install"
		}
	}
	if sentence == "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
}
