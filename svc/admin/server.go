package admin

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"earshot/protocol/hostnet/localhttp"
)

// maxBody bounds what a request may hold, without what is restored.
const maxBody = 64 << 10

// Serve answers requests that come in by listener until ctx ends. It closes the
// listener, and leaves two seconds to whatever is under way.
func Serve(ctx context.Context, listener net.Listener, backend Backend) error {
	if err := localhttp.Serve(ctx, context.WithoutCancel(ctx), listener, handler(backend)); err != nil {
		return fmt.Errorf("the administrator's socket: %w", err)
	}
	return nil
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
	s := &localhttp.Service{
		Mux: http.NewServeMux(), MaxBody: maxBody,
		Statuses: map[string]int{CodeUnknown: http.StatusNotFound, CodeRefused: http.StatusConflict},
		Unclear:  func(cause error) string { return "the request is not understood: " + cause.Error() },
	}
	s.Mux.HandleFunc("GET /v1/link", func(w http.ResponseWriter, r *http.Request) {
		link, err := backend.Link(r.URL.Query().Get("host"))
		s.Reply(w, linkAnswer{link}, err)
	})
	s.Mux.HandleFunc("GET /v1/users", func(w http.ResponseWriter, r *http.Request) {
		if name := r.URL.Query().Get("name"); name != "" {
			user, err := backend.User(name)
			s.Reply(w, user, err)
			return
		}
		users := backend.Users()
		if users == nil {
			users = []User{}
		}
		s.Reply(w, users, nil)
	})
	localhttp.Post(s, "/v1/invite", func(r *http.Request, in *InviteRequest) (any, error) { return backend.Invite(r.Context(), *in) })
	for path, do := range map[string]func(context.Context, string) (User, error){
		"/v1/users/approve": backend.Approve, "/v1/users/reset": backend.Reset, "/v1/users/remove": backend.Remove,
	} {
		localhttp.Post(s, path, func(r *http.Request, in *nameRequest) (any, error) { return do(r.Context(), in.Name) })
	}
	localhttp.Post(s, "/v1/users/remove-device", func(r *http.Request, in *nameRequest) (any, error) {
		return backend.RemoveDevice(r.Context(), in.Name, in.Device)
	})
	localhttp.Post(s, "/v1/reload", func(r *http.Request, _ *struct{}) (any, error) { return backend.Reload(r.Context()) })
	s.Mux.HandleFunc("GET /v1/backup", func(w http.ResponseWriter, r *http.Request) {
		out := &stream{w: w}
		err := backend.Backup(r.Context(), out)
		switch {
		case err != nil && out.begun:
			panic(http.ErrAbortHandler) // so that the half of it isn't taken for the whole
		case err != nil:
			s.Reply(w, nil, err)
		}
	})
	s.Mux.HandleFunc("POST /v1/restore", func(w http.ResponseWriter, r *http.Request) {
		restored, err := backend.Restore(r.Context(), r.Body)
		s.Reply(w, restored, err)
	})
	return s.Mux
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
