package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Limits of what a request may hold, without what is restored.
const (
	maxBody   = 64 << 10
	maxHeader = 16 << 10
)

// Serve answers requests that come in by listener until ctx ends. It closes the
// listener, and leaves two seconds to whatever is under way.
func Serve(ctx context.Context, listener net.Listener, backend Backend) error {
	server := &http.Server{Handler: handler(backend), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: maxHeader}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("the administrator's socket: %w", err)
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

// nameRequest is for what is done to a user.
type nameRequest struct {
	Name   string `json:"name"`
	Device string `json:"device,omitempty"`
}

type linkAnswer struct {
	Link string `json:"link"`
}

func handler(backend Backend) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/link", func(w http.ResponseWriter, r *http.Request) {
		link, err := backend.Link(r.URL.Query().Get("host"))
		reply(w, linkAnswer{link}, err)
	})
	mux.HandleFunc("GET /v1/users", func(w http.ResponseWriter, r *http.Request) {
		if name := r.URL.Query().Get("name"); name != "" {
			user, err := backend.User(name)
			reply(w, user, err)
			return
		}
		users := backend.Users()
		if users == nil {
			users = []User{}
		}
		reply(w, users, nil)
	})
	post(mux, "/v1/invite", func(r *http.Request, in InviteRequest) (any, error) { return backend.Invite(r.Context(), in) })
	for path, do := range map[string]func(context.Context, string) (User, error){
		"/v1/users/approve": backend.Approve, "/v1/users/reset": backend.Reset, "/v1/users/remove": backend.Remove,
	} {
		post(mux, path, func(r *http.Request, in nameRequest) (any, error) { return do(r.Context(), in.Name) })
	}
	post(mux, "/v1/users/remove-device", func(r *http.Request, in nameRequest) (any, error) {
		return backend.RemoveDevice(r.Context(), in.Name, in.Device)
	})
	mux.HandleFunc("GET /v1/backup", func(w http.ResponseWriter, r *http.Request) {
		out := &stream{w: w}
		err := backend.Backup(r.Context(), out)
		switch {
		case err != nil && out.begun:
			panic(http.ErrAbortHandler) // so that the half of it isn't taken for the whole
		case err != nil:
			reply(w, nil, err)
		}
	})
	mux.HandleFunc("POST /v1/restore", func(w http.ResponseWriter, r *http.Request) {
		restored, err := backend.Restore(r.Context(), r.Body)
		reply(w, restored, err)
	})
	return mux
}

// stream is an answer that is no JSON.
type stream struct {
	w     http.ResponseWriter
	begun bool
}

func (s *stream) Write(b []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "application/octet-stream")
	}
	return s.w.Write(b)
}

func post[T any](mux *http.ServeMux, path string, f func(*http.Request, T) (any, error)) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		var in T
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil {
			reply(w, nil, &Error{Code: CodeBadRequest, Text: "the request is not understood: " + err.Error()})
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
			e = &Error{Code: CodeFailed, Text: err.Error()}
		}
		status := http.StatusInternalServerError
		switch e.Code {
		case CodeBadRequest:
			status = http.StatusBadRequest
		case CodeUnknown:
			status = http.StatusNotFound
		case CodeRefused:
			status = http.StatusConflict
		}
		w.WriteHeader(status)
		answer = e
	}
	// A client that has hung up has no use for an error.
	_ = json.NewEncoder(w).Encode(answer)
}
