// Package installer tests the programs as they are installed: the coordinator
// as a service of a really booted systemd, in a container of its own
// (systemd-box.sh), of OpenRC and of SysV's init (initd-box.sh), and as one of
// Windows under wine. Package bed below it finds
// what such tests need.
package installer
