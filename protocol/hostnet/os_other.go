//go:build !windows

package hostnet

// osNet is package net as it is.
type osNet struct{ portable }
