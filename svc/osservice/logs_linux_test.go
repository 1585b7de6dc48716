package osservice

import (
	"log/slog"
	"strings"
	"testing"
)

func TestGravity(t *testing.T) {
	var b strings.Builder
	by := graded(&b)
	for level, want := range map[slog.Level]string{slog.LevelDebug: "<7>", slog.LevelInfo: "<6>", slog.LevelWarn: "<4>", slog.LevelError: "<3>"} {
		b.Reset()
		if n, err := by[level].Write([]byte("line\n")); n != 5 || err != nil || b.String() != want+"line\n" {
			t.Errorf("%v: %q, %d, %v", level, b.String(), n, err)
		}
	}
	t.Setenv("JOURNAL_STREAM", "1:1")
	if Logs(nil) != nil {
		t.Error("what is not the journal is taken for it")
	}
}
