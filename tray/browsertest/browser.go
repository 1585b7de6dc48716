//go:build linux

// Package browsertest opens pages in a real Chromium without a screen: tests
// press its keys, ask its documents, and take pictures of them.
package browsertest

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"earshot/installer/bed"
)

// patience bounds every wait for the browser.
const patience = 30 * time.Second

// Browser is one Chromium with a profile of its own.
type Browser struct {
	t    testing.TB
	conn *websocket.Conn
	ctx  context.Context

	mu      sync.Mutex
	last    int
	answers map[int]chan answer
	said    []string // what pages complained of
}

type answer struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// Start starts Chromium, which ends with the test. Where there is none, the
// test is skipped as bed.Need does it.
func Start(t testing.TB) *Browser {
	t.Helper()
	bed.Need(t, "chromium")
	ctx, cancel := context.WithCancel(context.Background())
	profile := t.TempDir()
	// Only in a container of root's does it run without its sandbox.
	args := []string{
		"--headless=new", "--remote-debugging-port=0", "--user-data-dir=" + profile, "--no-first-run", "--disable-gpu",
		"--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
	}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox")
	}
	cmd := exec.CommandContext(ctx, "chromium", append(args, "about:blank")...)
	cmd.Env = append(os.Environ(), "HOME="+profile)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			if url, ok := strings.CutPrefix(lines.Text(), "DevTools listening on "); ok {
				found <- url
			}
		}
	}()
	b := &Browser{t: t, ctx: ctx, answers: make(map[int]chan answer)}
	listened := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-read
		_ = cmd.Wait() // it was killed
		<-listened
	})
	select {
	case url := <-found:
		b.conn, _, err = websocket.Dial(ctx, url, nil)
	case <-time.After(patience):
		err = errors.New("it does not say where it listens")
	}
	if err != nil {
		close(listened)
		t.Fatalf("chromium: %v", err)
	}
	b.conn.SetReadLimit(64 << 20)
	go func() { defer close(listened); b.listen() }()
	return b
}

func (b *Browser) listen() {
	for {
		_, message, err := b.conn.Read(b.ctx)
		if err != nil {
			return
		}
		var m struct {
			ID     int    `json:"id"`
			Method string `json:"method"`
			Params struct {
				Entry struct {
					Level, Text, URL string
				} `json:"entry"`
				ExceptionDetails struct {
					Text      string
					Exception struct{ Description string }
				} `json:"exceptionDetails"`
			} `json:"params"`
			answer
		}
		if json.Unmarshal(message, &m) != nil {
			continue
		}
		b.mu.Lock()
		switch {
		case m.ID != 0:
			if to := b.answers[m.ID]; to != nil {
				to <- m.answer // has room
				delete(b.answers, m.ID)
			}
		case m.Method == "Log.entryAdded" && m.Params.Entry.Level == "error":
			b.said = append(b.said, m.Params.Entry.Text+" "+m.Params.Entry.URL)
		case m.Method == "Runtime.exceptionThrown":
			b.said = append(b.said, m.Params.ExceptionDetails.Text+" "+m.Params.ExceptionDetails.Exception.Description)
		}
		b.mu.Unlock()
	}
}

// Complaints are the errors that pages have logged so far, such as what their
// content security policy forbade.
func (b *Browser) Complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said
}

// call asks for something by the DevTools protocol.
func (b *Browser) call(session, method string, params, result any) {
	b.t.Helper()
	if err := b.try(session, method, params, result); err != nil {
		b.t.Fatalf("chromium: %s: %v", method, err)
	}
}

func (b *Browser) try(session, method string, params, result any) error {
	b.mu.Lock()
	b.last++
	id, to := b.last, make(chan answer, 1)
	b.answers[id] = to
	b.mu.Unlock()
	request, err := json.Marshal(map[string]any{"id": id, "sessionId": session, "method": method, "params": params})
	if session == "" {
		request, err = json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	}
	if err == nil {
		err = b.conn.Write(b.ctx, websocket.MessageText, request)
	}
	if err != nil {
		return err
	}
	select {
	case a := <-to:
		if a.Error != nil {
			return errors.New(a.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(a.Result, result)
	case <-time.After(patience):
		return errors.New("no answer")
	}
}

// Look is how a page is shown.
type Look struct {
	// Width and Height are the window's, in CSS pixels; 0 is 1000 × 800.
	Width, Height int
	Dark          bool
	// Scale is how many of the screen's pixels are one; 0 is 1.
	Scale float64
	// NoScript opens the page as for somebody who allows no scripts.
	NoScript bool
}

// Page is one tab.
type Page struct {
	b       *Browser
	session string
}

type object = map[string]any

// Open opens a page and waits until it is loaded.
func (b *Browser) Open(url string, look Look) *Page {
	b.t.Helper()
	if look.Width == 0 {
		look.Width, look.Height = 1000, 800
	}
	if look.Scale == 0 {
		look.Scale = 1
	}
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", object{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached)
	p := &Page{b, attached.SessionID}
	for _, domain := range []string{"Page.enable", "Log.enable", "Runtime.enable"} {
		p.call(domain, object{}, nil)
	}
	scheme := "light"
	if look.Dark {
		scheme = "dark"
	}
	p.call("Emulation.setDeviceMetricsOverride", object{"width": look.Width, "height": look.Height, "deviceScaleFactor": look.Scale, "mobile": false}, nil)
	p.call("Emulation.setEmulatedMedia", object{"features": []object{
		{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
	}}, nil)
	p.call("Emulation.setFocusEmulationEnabled", object{"enabled": true}, nil)
	if look.NoScript {
		p.call("Emulation.setScriptExecutionDisabled", object{"value": true}, nil)
	}
	var navigated struct{ ErrorText string }
	p.call("Page.navigate", object{"url": url}, &navigated)
	if navigated.ErrorText != "" {
		b.t.Fatalf("chromium: %s: %s", url, navigated.ErrorText)
	}
	p.Await("the page", `document.readyState === "complete" && location.href !== "about:blank"`)
	return p
}

func (p *Page) call(method string, params, result any) {
	p.b.t.Helper()
	p.b.call(p.session, method, params, result)
}

// Eval evaluates an expression in the page, waits for it if it is a promise,
// and returns its value as JSON has it. An exception fails the test.
func (p *Page) Eval(expression string) any {
	p.b.t.Helper()
	value, err := p.eval(expression)
	if err != nil {
		p.b.t.Fatalf("chromium: %s: %v", expression, err)
	}
	return value
}

func (p *Page) eval(expression string) (any, error) {
	var result struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := p.b.try(p.session, "Runtime.evaluate", object{"expression": expression, "returnByValue": true, "awaitPromise": true}, &result)
	if e := result.ExceptionDetails; e != nil {
		err = fmt.Errorf("%s %s", e.Text, e.Exception.Description)
	}
	return result.Result.Value, err
}

// Text is Eval for a string.
func (p *Page) Text(expression string) string {
	p.b.t.Helper()
	return fmt.Sprint(p.Eval(expression))
}

// Await waits until an expression is true, be it on the page that comes next.
func (p *Page) Await(what, expression string) {
	p.b.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		value, err := p.eval("Boolean(" + expression + ")")
		if value == true && err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			p.b.t.Fatalf("chromium: %s did not come (%v)", what, err)
		}
	}
}

// Type enters text where the focus is, as an input method does.
func (p *Page) Type(text string) {
	p.b.t.Helper()
	p.call("Input.insertText", object{"text": text}, nil)
}

// keys are those that Press knows, with their codes and what they enter.
var keys = map[string]struct {
	code int
	text string
}{"Tab": {9, ""}, "Enter": {13, "\r"}, "Space": {32, " "}, "Escape": {27, ""}, "ArrowDown": {40, ""}, "ArrowUp": {38, ""}, "Backspace": {8, ""}, "Home": {36, ""}, "End": {35, ""}}

// Press presses keys one after the other; a "Shift+" before one holds that.
func (p *Page) Press(names ...string) {
	p.b.t.Helper()
	for _, name := range names {
		name, shifted := strings.CutPrefix(name, "Shift+")
		k, known := keys[name]
		if !known {
			p.b.t.Fatalf("chromium: no key %q", name)
		}
		event := object{"type": "keyDown", "key": name, "code": name, "windowsVirtualKeyCode": k.code, "modifiers": 0}
		if k.text != "" {
			event["text"] = k.text
		}
		if name == "Space" {
			event["key"] = " "
		}
		if shifted {
			event["modifiers"] = 8
		}
		p.call("Input.dispatchKeyEvent", event, nil)
		event["type"] = "keyUp"
		delete(event, "text")
		p.call("Input.dispatchKeyEvent", event, nil)
	}
}

// Click clicks the middle of the element that a selector finds.
func (p *Page) Click(selector string) {
	p.b.t.Helper()
	at, ok := p.Eval(fmt.Sprintf(`(() => { const e = document.querySelector(%q); if (!e) return null; e.scrollIntoView({block: "center"});
		const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`, selector)).([]any)
	if !ok {
		p.b.t.Fatalf("chromium: there is no %s", selector)
	}
	for _, what := range []string{"mousePressed", "mouseReleased"} {
		p.call("Input.dispatchMouseEvent", object{"type": what, "x": at[0], "y": at[1], "button": "left", "clickCount": 1}, nil)
	}
}

// Screenshot saves the whole page as NAME.png among the artefacts.
func (p *Page) Screenshot(name string) {
	p.b.t.Helper()
	// Of a page behind another one no frames are drawn, and a picture may wait for
	// ever for the next.
	p.call("Page.bringToFront", object{}, nil)
	var shot struct{ Data string }
	p.call("Page.captureScreenshot", object{"format": "png", "captureBeyondViewport": true}, &shot)
	b, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		p.b.t.Fatal(err)
	}
	dir := os.Getenv("EARSHOT_ARTIFACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "artifacts")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), b, 0o644); err != nil {
		p.b.t.Fatal(err)
	}
}
