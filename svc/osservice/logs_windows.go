package osservice

import (
	"io"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/sys/windows/svc/eventlog"
)

// Logs returns where lines go by how grave they are: a service's to the event log,
// for it has no terminal. It is nil otherwise. What is for debugging is among the
// information there.
func Logs(*os.File) map[slog.Level]io.Writer {
	if !IsService() {
		return nil
	}
	log, err := eventlog.Open(Name) // whose source Install has registered
	if err != nil {
		return nil
	}
	const id = 1 // of the one message that eventcreate's texts have for all
	info := entry(func(text string) error { return log.Info(id, text) })
	return map[slog.Level]io.Writer{
		slog.LevelDebug: info, slog.LevelInfo: info,
		slog.LevelWarn:  entry(func(text string) error { return log.Warning(id, text) }),
		slog.LevelError: entry(func(text string) error { return log.Error(id, text) }),
	}
}

// entry makes an entry of each line.
type entry func(text string) error

func (e entry) Write(line []byte) (int, error) {
	if err := e(strings.TrimSuffix(string(line), "\n")); err != nil {
		return 0, err
	}
	return len(line), nil
}
