//go:build !linux && !windows

package osservice

import (
	"io"
	"log/slog"
	"os"
)

// Logs returns nil: a service's log is what it prints.
func Logs(*os.File) map[slog.Level]io.Writer { return nil }
