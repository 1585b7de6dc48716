package pagehost

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// A host that nobody asks listens no longer, and the next link starts it again.
func TestIdle(t *testing.T) {
	h := New(map[string]http.Handler{"a": http.NotFoundHandler()}, func() string { return "" }, slog.New(slog.DiscardHandler))
	defer h.Close()
	h.idle = 50 * time.Millisecond
	first, err := h.Link("a")
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	address := h.address
	h.mu.Unlock()
	// A connection shows when the other end closes it.
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the host goes on: %v", err)
	}
	h.serving.Wait()
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
	h.mu.Lock()
	h.idle = time.Hour
	h.mu.Unlock()
	second, err := h.Link("a")
	if err != nil || second == first {
		t.Fatalf("%q, %v", second, err)
	}
	r, err := http.Get(second)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}
