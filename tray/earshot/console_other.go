//go:build !windows

package main

import "os/exec"

// openConsole does nothing: a process has the terminal that it was started
// from.
func (c *command) openConsole() {}

// alert does nothing: what is printed can be read, in the terminal or in the
// session's log.
func (c *command) alert(string) {}

func withoutConsole(*exec.Cmd) {}
