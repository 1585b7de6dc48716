// Package localhttp is JSON over HTTP between two processes of one machine,
// through a socket or pipe of hostnet.ListenPrivate: what the two programs' doors
// have in common.
package localhttp

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"
)

// maxHeader bounds the headers of requests and answers, in bytes.
const maxHeader = 16 << 10

// The codes that every service has.
const (
	CodeBadRequest = "bad_request" // status 400
	CodeFailed     = "failed"      // status 500, as that of every code without a status
)

// Error is an error that goes to the other process as it is.
type Error struct {
	// Code tells a program what kind of error it is.
	Code string `json:"code"`
	// Text is for a person.
	Text string `json:"error"`
}

func (e *Error) Error() string { return e.Text }

// Serve answers requests that come in by listener until ctx ends. It closes the
// listener, and leaves two seconds to whatever is under way, unless requests,
// the parent of every request's context, ends that earlier.
func Serve(ctx, requests context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return requests },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
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

// Service is what requests of one kind have in common.
type Service struct {
	Mux *http.ServeMux
	// MaxBody bounds a request's body, in bytes.
	MaxBody int64
	// Statuses are those of the codes besides the ones that every service has.
	Statuses map[string]int
	// Unclear is the text about a request that is not understood, for its cause.
	Unclear func(cause error) string
}

// Get answers GET requests of a path with what f returns.
func (s *Service) Get(path string, f func(*http.Request) (any, error)) {
	s.Mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		answer, err := f(r)
		s.Reply(w, answer, err)
	})
}

// Post answers POST requests of a path with what f makes of the body.
func Post[T any](s *Service, path string, f func(*http.Request, *T) (any, error)) {
	s.Mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		in := new(T)
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, s.MaxBody))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(in); err != nil {
			s.Reply(w, nil, &Error{Code: CodeBadRequest, Text: s.Unclear(err)})
			return
		}
		answer, err := f(r, in)
		s.Reply(w, answer, err)
	})
}

// Reply writes an answer, or the error if there is one.
func (s *Service) Reply(w http.ResponseWriter, answer any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			e = &Error{Code: CodeFailed, Text: err.Error()}
		}
		status, known := s.Statuses[e.Code]
		switch {
		case known:
		case e.Code == CodeBadRequest:
			status = http.StatusBadRequest
		default:
			status = http.StatusInternalServerError
		}
		w.WriteHeader(status)
		answer = e
	}
	// A client that has hung up has no use for an error.
	_ = json.NewEncoder(w).Encode(answer)
}
