//go:build !windows

package main

// allowForeground is for Windows, which asks for it.
func allowForeground() {}
