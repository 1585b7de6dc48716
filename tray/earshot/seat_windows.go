package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/windows"
)

// seat tells a desktop session from the account's others, as on a terminal
// server; empty is none.
func (c *command) seat() string {
	var session uint32
	if c.opts.headless || windows.ProcessIdToSessionId(uint32(os.Getpid()), &session) != nil {
		return ""
	}
	return strconv.FormatUint(uint64(session), 10)
}
