//go:build !windows

package pagehost

import (
	"fmt"
	"os/exec"
	"runtime"
)

// Browse opens an address in the person's browser.
func Browse(url string) error {
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	cmd := exec.Command(program, url)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the browser does not open: %w", err)
	}
	// It may be the browser itself, and stay.
	go func() { _ = cmd.Wait() }()
	return nil
}
