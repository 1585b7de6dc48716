package main

import (
	"context"
	"io"
	"log/slog"
)

// graded writes a line's gravity in front of it, as the journal reads it
// (sd-daemon(3)), so that `journalctl -p warning` shows what it should. The rest
// stays JSON: the journal's own protocol would need a socket of its own, and tell
// people with `journalctl -o cat | jq` less.
type graded struct {
	slog.Handler
	by map[slog.Level]slog.Handler
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

func newGraded(w io.Writer, options *slog.HandlerOptions) graded {
	g := graded{by: make(map[slog.Level]slog.Handler)}
	for level, prefix := range map[slog.Level]string{
		slog.LevelDebug: "<7>", slog.LevelInfo: "<6>", slog.LevelWarn: "<4>", slog.LevelError: "<3>",
	} {
		g.by[level] = slog.NewJSONHandler(prefixed{prefix, w}, options)
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
