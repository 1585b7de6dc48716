//go:build !linux

package main

// dropProgram is left to the system.
func dropProgram() error { return nil }

// dropLibraries leaves what is of files to the system.
func dropLibraries() error { return nil }
