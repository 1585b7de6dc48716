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
	"time"

	"earshot/tray/chat"
)

// Limits of what a request may hold.
const (
	maxBody        = 1 << 20
	maxHeader      = 16 << 10
	defaultHistory = 50
)

// Serve answers requests to engine that come in by listener until ctx ends. It
// closes the listener. End the engine first: event streams then end in order.
func Serve(ctx context.Context, listener net.Listener, engine Engine) error {
	server := &http.Server{
		Handler:           handler(engine),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    maxHeader,
		// Streams end with ctx even if the engine goes on.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("localapi: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := server.Shutdown(last)
	if err != nil {
		err = server.Close()
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

func handler(engine Engine) http.Handler {
	mux := http.NewServeMux()
	get(mux, "/v1/status", func(*http.Request) (any, error) { return engine.Status(), nil })
	get(mux, "/v1/roster", func(*http.Request) (any, error) { return list(engine.Roster()), nil })
	get(mux, "/v1/history", func(r *http.Request) (any, error) {
		before, err1 := number(r, "before", 0)
		limit, err2 := number(r, "limit", defaultHistory)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		messages, err := engine.History(r.Context(), r.URL.Query().Get("peer"), before, int(min(limit, 1<<20)))
		return list(messages), err
	})
	post(mux, "/v1/messages", func(r *http.Request, in *sendRequest) (any, error) {
		return engine.Send(r.Context(), in.Draft, in.Wait)
	})
	post(mux, "/v1/retry", func(r *http.Request, in *idRequest) (any, error) {
		return struct{}{}, engine.Retry(r.Context(), in.ID)
	})
	post(mux, "/v1/read", func(r *http.Request, in *peerRequest) (any, error) {
		return struct{}{}, engine.MarkRead(r.Context(), in.Peer)
	})
	post(mux, "/v1/compose", func(r *http.Request, in *peerRequest) (any, error) {
		return struct{}{}, engine.Compose(r.Context(), in.Peer)
	})
	handleSecure(mux, engine)
	post(mux, "/v1/quit", func(*http.Request, *struct{}) (any, error) {
		engine.Quit()
		return struct{}{}, nil
	})
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) { stream(w, r, engine) })
	return mux
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
		return 0, &Error{Code: CodeBadRequest, Sentence: fmt.Sprintf("The parameter %q is not a number.", name)}
	}
	return n, nil
}

func get(mux *http.ServeMux, path string, f func(*http.Request) (any, error)) {
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		answer, err := f(r)
		reply(w, answer, err)
	})
}

func post[T any](mux *http.ServeMux, path string, f func(*http.Request, *T) (any, error)) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		in := new(T)
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(in); err != nil {
			reply(w, nil, &Error{Code: CodeBadRequest, Sentence: "The request is not understood: " + err.Error() + "."})
			return
		}
		answer, err := f(r, in)
		reply(w, answer, err)
	})
}

func reply(w http.ResponseWriter, answer any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			e = &Error{Code: CodeFailed, Sentence: err.Error()}
		}
		status := http.StatusInternalServerError
		switch e.Code {
		case CodeBadRequest:
			status = http.StatusBadRequest
		case CodeUnknownPerson:
			status = http.StatusNotFound
		case CodeEnded:
			status = http.StatusServiceUnavailable
		}
		w.WriteHeader(status)
		answer = e
	}
	// A client that has hung up has no use for an error.
	_ = json.NewEncoder(w).Encode(answer)
}

// endEvent is the SSE name of the last event.
const endEvent = "end"

func stream(w http.ResponseWriter, r *http.Request, engine Engine) {
	role := Watcher
	switch r.URL.Query().Get("role") {
	case "", string(Watcher):
	case string(Popup):
		role = Popup
	default:
		reply(w, nil, &Error{Code: CodeBadRequest, Sentence: "The role is neither watcher nor popup."})
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
