package localapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"earshot/protocol/hostnet/localhttp"
	"earshot/tray/chat"
)

// Limits of what a request may hold.
const (
	maxBody        = 1 << 20
	defaultHistory = 50
)

// Serve answers requests to engine that come in by listener until ctx ends. It
// closes the listener. End the engine first: event streams then end in order.
func Serve(ctx context.Context, listener net.Listener, engine Engine) error {
	// Streams end with ctx even if the engine goes on.
	if err := localhttp.Serve(ctx, ctx, listener, handler(engine)); err != nil {
		return fmt.Errorf("localapi: %w", err)
	}
	return nil
}

func handler(engine Engine) http.Handler {
	s := &localhttp.Service{
		Mux: http.NewServeMux(), MaxBody: maxBody,
		Statuses: map[string]int{CodeUnknownPerson: http.StatusNotFound, CodeEnded: http.StatusServiceUnavailable, CodeLocked: http.StatusForbidden},
		Unclear:  func(cause error) string { return "The request is not understood: " + cause.Error() + "." },
	}
	s.Get("/v1/status", func(*http.Request) (any, error) { return engine.Status(), nil })
	s.Get("/v1/roster", func(*http.Request) (any, error) { return list(engine.Roster()), nil })
	s.Get("/v1/history", func(r *http.Request) (any, error) {
		before, err1 := number(r, "before", 0)
		limit, err2 := number(r, "limit", defaultHistory)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		messages, err := engine.History(r.Context(), r.URL.Query().Get("peer"), before, int(min(limit, 1<<20)))
		return list(messages), err
	})
	localhttp.Post(s, "/v1/messages", func(r *http.Request, in *sendRequest) (any, error) {
		return engine.Send(r.Context(), in.Draft, in.Wait)
	})
	s.Get("/v1/draft", func(r *http.Request) (any, error) {
		return engine.Draft(r.Context(), r.URL.Query().Get("peer"))
	})
	localhttp.Post(s, "/v1/draft", func(r *http.Request, in *chat.Draft) (any, error) {
		return struct{}{}, engine.KeepDraft(r.Context(), *in)
	})
	localhttp.Post(s, "/v1/retry", func(r *http.Request, in *idRequest) (any, error) {
		return struct{}{}, engine.Retry(r.Context(), in.ID)
	})
	localhttp.Post(s, "/v1/read", func(r *http.Request, in *peerRequest) (any, error) {
		return struct{}{}, engine.MarkRead(r.Context(), in.Peer)
	})
	localhttp.Post(s, "/v1/compose", func(r *http.Request, in *peerRequest) (any, error) {
		return struct{}{}, engine.Compose(r.Context(), in.Peer)
	})
	handleSecure(s, engine)
	handleSettings(s, engine)
	handleHistory(s, engine)
	localhttp.Post(s, "/v1/quit", func(*http.Request, *struct{}) (any, error) {
		engine.Quit()
		return struct{}{}, nil
	})
	s.Mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) { stream(s, w, r, engine) })
	return s.Mux
}

type (
	sendRequest struct {
		chat.Draft
		Wait bool `json:"wait"`
	}
	idRequest struct {
		ID int64 `json:"id"`
	}
	peerRequest struct {
		Peer string `json:"peer"`
	}
)

// list is an empty JSON list rather than null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func number(r *http.Request, name string, otherwise int64) (int64, error) {
	value := r.URL.Query().Get(name)
	if value == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return 0, &Error{Code: CodeBadRequest, Text: fmt.Sprintf("The parameter %q is not a number.", name)}
	}
	return n, nil
}

// endEvent is the SSE name of the last event.
const endEvent = "end"

func stream(s *localhttp.Service, w http.ResponseWriter, r *http.Request, engine Engine) {
	role := Watcher
	switch r.URL.Query().Get("role") {
	case "", string(Watcher):
	case string(Popup):
		role = Popup
	default:
		s.Reply(w, nil, &Error{Code: CodeBadRequest, Text: "The role is neither watcher nor popup."})
		return
	}
	sub := engine.Subscribe(role)
	defer sub.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flusher := http.NewResponseController(w)
	for {
		event, err := sub.Next(r.Context())
		if errors.Is(err, io.EOF) {
			_ = write(w, endEvent, struct{}{})
			return
		}
		if err != nil {
			return // the client hung up
		}
		if write(w, string(event.Type), event) != nil || flusher.Flush() != nil {
			return
		}
	}
}

func write(w io.Writer, name string, data any) error {
	b, err := json.Marshal(data) // never with a line break
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, b)
	return err
}
