package osservice

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
)

// Logs returns where lines go by how grave they are, if what is written to a file
// goes to systemd's journal: each begins with its gravity, as the journal reads it
// (sd-daemon(3)), so that `journalctl -p warning` shows what it should. It is nil
// otherwise.
func Logs(file *os.File) map[slog.Level]io.Writer {
	if !journal(file) {
		return nil
	}
	return graded(file)
}

func graded(w io.Writer) map[slog.Level]io.Writer {
	return map[slog.Level]io.Writer{
		slog.LevelDebug: prefixed{"<7>", w}, slog.LevelInfo: prefixed{"<6>", w},
		slog.LevelWarn: prefixed{"<4>", w}, slog.LevelError: prefixed{"<3>", w},
	}
}

// journal says whether a file leads there (systemd.exec(5), JOURNAL_STREAM).
func journal(file *os.File) bool {
	var device, inode uint64
	if _, err := fmt.Sscanf(os.Getenv("JOURNAL_STREAM"), "%d:%d", &device, &inode); err != nil {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Dev == device && stat.Ino == inode
}

// prefixed writes something before each line, in one go.
type prefixed struct {
	prefix string
	w      io.Writer
}

func (p prefixed) Write(line []byte) (int, error) {
	if _, err := p.w.Write(append([]byte(p.prefix), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
