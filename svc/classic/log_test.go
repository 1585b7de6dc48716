package classic

import (
	"log/slog"
	"testing"
)

var discard = slog.New(slog.DiscardHandler)

// testLog shows what the server logs if the test fails.
func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}
