// Package pagehost shows pages in the person's browser. They are served on the
// loopback interface, which other accounts of the machine reach as well as
// other pages in the same browser do: so only the browser that came with a link,
// once, is let in, and only pages of the host itself may change anything.
package pagehost

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// linkHolds is how long a link that nobody has opened can be.
	linkHolds = time.Minute
	// maxLinks is how many of these there are at once, and maxSessions how many
	// browsers are let in; the oldest makes way.
	maxLinks, maxSessions = 16, 16
	endTime               = 5 * time.Second
)

// contentPolicy lets pages have what the host serves and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ErrNoPage is a page that there isn't.
var ErrNoPage = errors.New("there is no such page")

// Host serves pages. Nothing listens before the first link is asked for.
type Host struct {
	pages map[string]http.Handler
	sorry func() string
	log   *slog.Logger

	mu       sync.Mutex
	server   *http.Server
	serving  sync.WaitGroup
	closed   bool
	address  string              // 127.0.0.1:PORT
	links    map[string]opened   // by token
	sessions map[string]struct{} // by what the cookie says
	order    []string            // of sessions, oldest first
}

// opened is a link that nobody has followed yet.
type opened struct {
	page string
	at   time.Time
}

// New returns a host of these pages, each of which is served below /NAME/, the
// path without that. sorry is what a browser is told that isn't let in: a
// sentence. Close ends it.
func New(pages map[string]http.Handler, sorry func() string, log *slog.Logger) *Host {
	return &Host{pages: pages, sorry: sorry, log: log, links: make(map[string]opened), sessions: make(map[string]struct{})}
}

// Link returns the address at which a browser shows a page, if it opens it within
// a minute. It can be opened once.
func (h *Host) Link(page string) (string, error) {
	if h.pages[page] == nil {
		return "", fmt.Errorf("%w: %q", ErrNoPage, page)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.startLocked(); err != nil {
		return "", fmt.Errorf("pagehost: %w", err)
	}
	now := time.Now()
	maps.DeleteFunc(h.links, func(_ string, o opened) bool { return now.Sub(o.at) >= linkHolds })
	if len(h.links) >= maxLinks {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(h.links)), func(a, b string) int { return h.links[a].at.Compare(h.links[b].at) })
		delete(h.links, oldest)
	}
	token := rand.Text()
	h.links[token] = opened{page, now}
	return "http://" + h.address + "/open/" + token, nil
}

// startLocked listens, if nothing does yet.
func (h *Host) startLocked() error {
	if h.closed {
		return errors.New("it has ended")
	}
	if h.server != nil {
		return nil
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h.address = listener.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /open/{token}", h.open)
	for name, page := range h.pages {
		mux.Handle("/"+name+"/", h.guard(http.StripPrefix("/"+name, page)))
	}
	h.server = &http.Server{Handler: h.check(mux), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug)}
	server := h.server
	h.serving.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("pages are no longer served", "error", err)
		}
	})
	return nil
}

// Close ends the host, and what is under way soon.
func (h *Host) Close() {
	h.mu.Lock()
	h.closed = true
	server := h.server
	h.mu.Unlock()
	if server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		server.Close()
	}
	h.serving.Wait()
}

// check refuses what no browser on this machine would ask of this host.
func (h *Host) check(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", contentPolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		// With no-referrer a browser would hide the origin of our own forms, too.
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		// A name that leads to 127.0.0.1 would make another site's page ours.
		if r.Host != h.address {
			h.refuse(w)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Header.Get("Origin") != "http://"+h.address {
			h.refuse(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (h *Host) refuse(w http.ResponseWriter) { http.Error(w, h.sorry(), http.StatusForbidden) }

// cookie is one name for each port: browsers don't tell ports apart.
func (h *Host) cookie() string {
	return "earshot-" + h.address[strings.LastIndexByte(h.address, ':')+1:]
}

// open lets a browser in that comes by a link, and leads it to the page.
func (h *Host) open(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	h.mu.Lock()
	link, ok := h.links[token]
	delete(h.links, token)
	if !ok || time.Since(link.at) >= linkHolds {
		h.mu.Unlock()
		h.refuse(w)
		return
	}
	session := rand.Text()
	h.sessions[session] = struct{}{}
	if h.order = append(h.order, session); len(h.order) > maxSessions {
		delete(h.sessions, h.order[0])
		h.order = h.order[1:]
	}
	h.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: h.cookie(), Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.Header().Set("Location", "/"+link.page+"/")
	w.WriteHeader(http.StatusSeeOther)
}

// guard lets only those in that open did.
func (h *Host) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known := false
		for _, c := range r.CookiesNamed(h.cookie()) {
			h.mu.Lock()
			for session := range h.sessions {
				known = known || subtle.ConstantTimeCompare([]byte(session), []byte(c.Value)) == 1
			}
			h.mu.Unlock()
		}
		if !known {
			h.refuse(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}
