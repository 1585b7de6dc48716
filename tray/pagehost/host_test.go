package pagehost_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"earshot/tray/pagehost"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const sorry = "Open this page from Earshot."

func start(t *testing.T) *pagehost.Host {
	t.Helper()
	h := pagehost.New(map[string]http.Handler{"settings": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Method, " ", r.URL.Path)
	})}, func() string { return sorry }, slog.New(slog.DiscardHandler))
	t.Cleanup(h.Close)
	return h
}

// browser is one that keeps cookies.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Transport: new(http.Transport)}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func ask(t *testing.T, c *http.Client, method, url string, change func(*http.Request)) (code int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Header.Get("Content-Security-Policy") == "" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: %v", url, answer.Header)
	}
	return answer.StatusCode, strings.TrimSpace(string(b))
}

func link(t *testing.T, h *pagehost.Host) (link, root string) {
	t.Helper()
	link, err := h.Link("settings")
	if err != nil {
		t.Fatal(err)
	}
	root, _, _ = strings.Cut(link, "/open/")
	return link, root
}

func TestALinkLetsOneBrowserInOnce(t *testing.T) {
	h := start(t)
	if _, err := h.Link("nothing"); err == nil {
		t.Error("there is a page of nothing")
	}
	at, root := link(t, h)
	mine, other := browser(t), browser(t)
	if code, body := ask(t, mine, "GET", at, nil); code != 200 || body != "GET /" {
		t.Errorf("%d %s", code, body)
	}
	if code, body := ask(t, mine, "GET", root+"/settings/page.css", nil); code != 200 || body != "GET /page.css" {
		t.Errorf("%d %s", code, body)
	}
	for _, url := range []string{at, root + "/settings/", root + "/open/", root + "/open/" + strings.Repeat("A", 26)} {
		if code, body := ask(t, other, "GET", url, nil); code == 200 || strings.Contains(body, "GET") {
			t.Errorf("%s lets anybody in: %d %s", url, code, body)
		}
	}
	if code, body := ask(t, other, "GET", at, nil); code != 403 || body != sorry {
		t.Errorf("%d %s", code, body)
	}
	// A second link lets a second browser in, and the first one stays.
	again, _ := link(t, h)
	if code, _ := ask(t, other, "GET", again, nil); code != 200 {
		t.Error(code)
	}
	if code, _ := ask(t, mine, "GET", root+"/settings/", nil); code != 200 {
		t.Error(code)
	}
}

func TestOtherSitesChangeNothing(t *testing.T) {
	h := start(t)
	at, root := link(t, h)
	b := browser(t)
	ask(t, b, "GET", at, nil)
	for _, test := range []struct {
		name, method string
		change       func(*http.Request)
		code         int
	}{
		{"our own form", "POST", func(r *http.Request) { r.Header.Set("Origin", root) }, 200},
		{"no origin", "POST", nil, 403},
		{"another site", "POST", func(r *http.Request) { r.Header.Set("Origin", "https://example.com") }, 403},
		{"another port", "POST", func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:1") }, 403},
		{"a sandbox", "POST", func(r *http.Request) { r.Header.Set("Origin", "null") }, 403},
		{"a name that leads here", "GET", func(r *http.Request) { r.Host = "evil.example.com" }, 403},
		{"localhost", "GET", func(r *http.Request) { r.Host = strings.Replace(r.Host, "127.0.0.1", "localhost", 1) }, 403},
		{"another method", "DELETE", nil, 403},
	} {
		if code, body := ask(t, b, test.method, root+"/settings/set", test.change); code != test.code {
			t.Errorf("%s: %d %s", test.name, code, body)
		}
	}
}

func TestTooManyLinks(t *testing.T) {
	h := start(t)
	first, _ := link(t, h)
	for range 100 {
		link(t, h)
	}
	last, _ := link(t, h)
	b := browser(t)
	if code, _ := ask(t, b, "GET", first, nil); code != 403 {
		t.Errorf("the first of many links: %d", code)
	}
	if code, _ := ask(t, b, "GET", last, nil); code != 200 {
		t.Errorf("the last link: %d", code)
	}
	h.Close()
	if _, err := h.Link("settings"); err == nil {
		t.Error("there are links after the end")
	}
}
