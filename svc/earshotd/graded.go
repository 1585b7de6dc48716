package main

import (
	"context"
	"io"
	"log/slog"
)

// graded writes each record as JSON to where its gravity leads. The system's log
// reads the gravity there; the rest stays JSON, because the journal's own protocol
// would tell people with `journalctl -o cat | jq` less.
type graded struct {
	slog.Handler
	by map[slog.Level]slog.Handler
}

// newGraded needs a writer for each of slog's four levels.
func newGraded(writers map[slog.Level]io.Writer, options *slog.HandlerOptions) graded {
	g := graded{by: make(map[slog.Level]slog.Handler, len(writers))}
	for level, w := range writers {
		g.by[level] = slog.NewJSONHandler(w, options)
	}
	g.Handler = g.by[slog.LevelInfo]
	return g
}

// Handle implements slog.Handler.
func (g graded) Handle(ctx context.Context, r slog.Record) error {
	level := slog.LevelDebug
	for _, next := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if r.Level >= next {
			level = next
		}
	}
	return g.by[level].Handle(ctx, r)
}

// each is the handler with every one of its own changed in the same way.
func (g graded) each(change func(slog.Handler) slog.Handler) slog.Handler {
	changed := graded{by: make(map[slog.Level]slog.Handler, len(g.by))}
	for level, h := range g.by {
		changed.by[level] = change(h)
	}
	changed.Handler = changed.by[slog.LevelInfo]
	return changed
}

// WithAttrs implements slog.Handler.
func (g graded) WithAttrs(attrs []slog.Attr) slog.Handler {
	return g.each(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (g graded) WithGroup(name string) slog.Handler {
	return g.each(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}
