//go:build !linux

// Package browsertest opens pages in a real Chromium, on Linux.
package browsertest
