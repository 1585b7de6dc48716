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
	// endTime is how long the end waits for answers that are under way. Browsers
	// keep connections open on which they ask nothing.
	endTime = 500 * time.Millisecond
	// idleTime is how long nobody asks for anything before nothing listens any
	// more, and pages that are still shown must be opened anew.
	idleTime = 2 * time.Hour
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
	idle     time.Duration
	server   *http.Server
	ends     *time.Timer // ends the server when it is idle
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
	return &Host{pages: pages, sorry: sorry, log: log, idle: idleTime, links: make(map[string]opened), sessions: make(map[string]struct{})}
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
	h.ends.Reset(h.idle)
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
	address := listener.Addr().String()
	h.address = address
	mux := http.NewServeMux()
	mux.HandleFunc("GET /open/{token}", h.open)
	for name, page := range h.pages {
		mux.Handle("/"+name+"/", h.guard(http.StripPrefix("/"+name, page)))
	}
	h.server = &http.Server{Handler: h.check(address, mux), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug)}
	server := h.server
	h.ends = time.AfterFunc(h.idle, func() { h.rest(server) })
	h.serving.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("pages are no longer served", "error", err)
		}
	})
	return nil
}

// rest ends a server that nobody asks any more, and forgets whom it let in. The
// next link starts another one.
func (h *Host) rest(server *http.Server) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server != server || h.closed {
		return
	}
	h.server, h.order = nil, nil
	clear(h.links)
	clear(h.sessions)
	server.Close() // there is nothing under way
}

// Close ends the host, and what is under way soon.
func (h *Host) Close() {
	h.mu.Lock()
	h.closed = true
	server := h.server
	if server != nil {
		h.ends.Stop()
	}
	h.mu.Unlock()
	if server == nil {
		h.serving.Wait()
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
func (h *Host) check(address string, next http.Handler) http.Handler {
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
		if r.Host != address {
			h.refuse(w)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Header.Get("Origin") != "http://"+address {
			h.refuse(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// used puts off the end of an idle server.
func (h *Host) used() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server != nil && !h.closed {
		h.ends.Reset(h.idle)
	}
}

func (h *Host) refuse(w http.ResponseWriter) { http.Error(w, h.sorry(), http.StatusForbidden) }

// cookie is one name for each port: browsers don't tell ports apart.
func cookie(address string) string {
	return "earshot-" + address[strings.LastIndexByte(address, ':')+1:]
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
	http.SetCookie(w, &http.Cookie{Name: cookie(r.Host), Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.Header().Set("Location", "/"+link.page+"/")
	w.WriteHeader(http.StatusSeeOther)
}

// guard lets only those in that open did.
func (h *Host) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known := false
		for _, c := range r.CookiesNamed(cookie(r.Host)) {
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
		h.used()
		defer h.used()
		next.ServeHTTP(w, r)
	})
}
