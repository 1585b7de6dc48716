// Package trunktest is what a trunk meets on its way, for tests: a coordinator's
// web port, and an HTTP proxy.
package trunktest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/coder/websocket"

	"earshot/protocol/hostnet/webconn"
)

// Front is a listener for the WebSockets that come to a web port.
type Front struct {
	listener net.Listener
	server   *http.Server
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
	running  sync.WaitGroup

	mu       sync.Mutex
	deadline time.Time
}

// NewFront serves a web port. Close ends it, and closes the listener.
func NewFront(l net.Listener, certificate tls.Certificate) *Front {
	f := &Front{listener: l, accepted: make(chan net.Conn, 16), closed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc(webconn.Path, f.upgrade)
	mux.Handle("/elsewhere", http.RedirectHandler(webconn.Path, http.StatusFound))
	f.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: time.Minute, Protocols: new(http.Protocols),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, rawKey{}, conn.(*tls.Conn).NetConn())
		},
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				f.running.Add(1)
			case http.StateClosed, http.StateHijacked:
				f.running.Done()
			case http.StateActive, http.StateIdle:
			}
		},
	}
	f.server.Protocols.SetHTTP1(true)
	f.running.Go(func() {
		_ = f.server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}}))
	})
	return f
}

type rawKey struct{}

func (f *Front) upgrade(w http.ResponseWriter, r *http.Request) {
	f.running.Add(1)
	defer f.running.Done()
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	raw := r.Context().Value(rawKey{}).(net.Conn)
	conn := webconn.New(ws, raw, raw.RemoteAddr())
	select {
	case f.accepted <- conn:
	case <-f.closed:
		conn.Close()
	}
}

// Accept implements net.Listener.
func (f *Front) Accept() (net.Conn, error) {
	f.mu.Lock()
	deadline := f.deadline
	f.mu.Unlock()
	var passed <-chan time.Time
	if !deadline.IsZero() {
		passed = time.After(time.Until(deadline))
	}
	select {
	case conn := <-f.accepted:
		return conn, nil
	case <-passed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: f.Addr(), Err: os.ErrDeadlineExceeded}
	case <-f.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: f.Addr(), Err: net.ErrClosed}
	}
}

// SetDeadline is for the calls of Accept that follow.
func (f *Front) SetDeadline(t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deadline = t
	return nil
}

// Addr implements net.Listener.
func (f *Front) Addr() net.Addr { return f.listener.Addr() }

// Close implements net.Listener. WebSockets that were accepted stay open.
func (f *Front) Close() error {
	f.once.Do(func() {
		close(f.closed)
		_ = f.server.Close()
		f.running.Wait()
		for {
			select {
			case conn := <-f.accepted:
				conn.Close()
			default:
				return
			}
		}
	})
	return nil
}

// Proxy is an HTTP proxy that lets connections out (RFC 9110, 9.3.6).
type Proxy struct {
	// Dial connects to the HOST:PORT of a CONNECT.
	Dial func(at string) (net.Conn, error)
	// User and Password are asked for if User is not empty.
	User, Password string
	// Refuse, if it isn't zero, is the HTTP status of every answer.
	Refuse int

	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	asked []string
	conns map[net.Conn]struct{}
}

// Serve serves connections until Close. It is called once.
func (p *Proxy) Serve(l net.Listener) {
	p.listener, p.conns = l, make(map[net.Conn]struct{})
	p.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.serve(conn) })
		}
	})
}

// Asked returns where it was asked to connect to.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

// Close closes everything.
func (p *Proxy) Close() {
	p.listener.Close()
	p.mu.Lock()
	for conn := range p.conns {
		conn.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	p.running.Wait()
}

// keep has a connection closed by Close; it is false if that was before.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		conn.Close()
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *Proxy) drop(conn net.Conn) {
	conn.Close()
	p.mu.Lock()
	delete(p.conns, conn)
	p.mu.Unlock()
}

func (p *Proxy) serve(conn net.Conn) {
	if !p.keep(conn) {
		return
	}
	defer p.drop(conn)
	in := bufio.NewReader(conn)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	far, status := p.connect(r)
	if status != http.StatusOK {
		fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status))
		return
	}
	if !p.keep(far) {
		return
	}
	defer p.drop(far)
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(conn, far); conn.Close() })
	_, _ = io.Copy(far, in)
	far.Close()
	back.Wait()
}

func (p *Proxy) connect(r *http.Request) (far net.Conn, status int) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Host)
	p.mu.Unlock()
	wanted := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.User+":"+p.Password))
	switch {
	case p.Refuse != 0:
		return nil, p.Refuse
	case r.Method != http.MethodConnect:
		return nil, http.StatusMethodNotAllowed
	case p.User != "" && r.Header.Get("Proxy-Authorization") != wanted:
		return nil, http.StatusProxyAuthRequired
	}
	far, err := p.Dial(r.Host)
	if err != nil {
		return nil, http.StatusBadGateway
	}
	return far, http.StatusOK
}
