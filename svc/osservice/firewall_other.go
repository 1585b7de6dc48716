//go:build !windows

package osservice

// Firewall does nothing: on other systems it is the administrator's.
func Firewall(bool) error { return nil }
