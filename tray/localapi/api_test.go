package localapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/localapi"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The pipes of Windows share a goroutine for the process's life.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/Microsoft/go-winio.ioCompletionProcessor"))
}

// engine answers with what it was asked.
type engine struct {
	mu    sync.Mutex
	calls []string
	event chan chat.Event // closed: the engine has ended
	quit  chan struct{}
}

func (e *engine) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, fmt.Sprintf(format, args...))
}

var ann = chat.Person{Name: "Ann 安", Online: true, Address: "127.0.0.1:9", Unread: 2, LastMessage: time.Unix(5, 0).UTC()}

func (e *engine) Status() chat.Status   { return chat.Status{Connection: chat.Online, Name: "Me"} }
func (e *engine) Roster() []chat.Person { return []chat.Person{ann} }
func (e *engine) History(_ context.Context, peer string, before int64, limit int) ([]chat.Message, error) {
	e.note("history %q %d %d", peer, before, limit)
	return nil, nil
}
func (e *engine) Send(_ context.Context, d chat.Draft, wait bool) (chat.Message, error) {
	if d.To == "nobody" {
		return chat.Message{}, &localapi.Error{Code: localapi.CodeUnknownPerson, Text: "没有这个人。"}
	}
	return chat.Message{ID: 7, Peer: d.To, Text: d.Text, State: chat.Sending, ReplyTo: d.ReplyTo, Urgent: d.Urgent, Unread: wait}, nil
}
func (e *engine) Retry(_ context.Context, id int64) error {
	e.note("retry %d", id)
	return errors.New("plain error")
}
func (e *engine) Draft(_ context.Context, peer string) (chat.Draft, error) {
	return chat.Draft{To: peer, Text: "kept", Urgent: true}, nil
}
func (e *engine) KeepDraft(_ context.Context, d chat.Draft) error { e.note("keep %+v", d); return nil }
func (e *engine) MarkRead(_ context.Context, peer string) error   { e.note("read %q", peer); return nil }
func (e *engine) Compose(_ context.Context, peer string) error {
	e.note("compose %q", peer)
	return nil
}
func (e *engine) Subscribe(role localapi.Role) localapi.Subscription {
	e.note("subscribe %s", role)
	return e
}
func (e *engine) Quit() { close(e.quit) }
func (e *engine) Next(ctx context.Context) (chat.Event, error) {
	select {
	case event, ok := <-e.event:
		if !ok {
			return chat.Event{}, io.EOF
		}
		return event, nil
	case <-ctx.Done():
		return chat.Event{}, ctx.Err()
	}
}
func (e *engine) Close() { e.note("close") }

func serve(t *testing.T) (*engine, *localapi.Client, string) {
	t.Helper()
	e := &engine{event: make(chan chat.Event, 8), quit: make(chan struct{})}
	socket := address(t)
	listener, err := localapi.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	firstCall(t, socket)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- localapi.Serve(ctx, listener, e) }()
	client := localapi.Dial(socket)
	t.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return e, client, socket
}

func TestCallsPassThrough(t *testing.T) {
	e, c, _ := serve(t)
	ctx := t.Context()
	if s, err := c.Ask(ctx); err != nil || s.Name != "Me" {
		t.Errorf("status %+v, %v", s, err)
	}
	if people, err := c.People(ctx); err != nil || !reflect.DeepEqual(people, []chat.Person{ann}) {
		t.Errorf("roster %+v, %v", people, err)
	}
	m, err := c.Send(ctx, chat.Draft{To: "张三", Text: "line 1\nline 2", ReplyTo: 5, Urgent: true}, true)
	if want := (chat.Message{ID: 7, Peer: "张三", Text: "line 1\nline 2", State: chat.Sending, ReplyTo: 5, Urgent: true, Unread: true}); err != nil || m != want {
		t.Errorf("send %+v, %v", m, err)
	}
	_, err = c.Send(ctx, chat.Draft{To: "nobody", Text: "x"}, false)
	if refused, ok := errors.AsType[*localapi.Error](err); !ok || refused.Code != localapi.CodeUnknownPerson || refused.Text != "没有这个人。" {
		t.Errorf("send to nobody: %v", err)
	}
	if err := c.Retry(ctx, 3); err == nil || err.Error() != "plain error" {
		t.Errorf("retry: %v", err)
	}
	_, err1 := c.History(ctx, "a&b=c", 9, 2)
	draft := chat.Draft{To: "Bo", Text: "half", ReplyTo: 3, Urgent: true}
	if err := errors.Join(err1, c.MarkRead(ctx, "Bo"), c.Compose(ctx, ""), c.KeepDraft(ctx, draft)); err != nil {
		t.Error(err)
	}
	if got, err := c.Draft(ctx, "a&b=c"); err != nil || got != (chat.Draft{To: "a&b=c", Text: "kept", Urgent: true}) {
		t.Errorf("draft %+v, %v", got, err)
	}
	if err := c.End(ctx); err != nil {
		t.Error(err)
	}
	<-e.quit
	want := []string{"retry 3", `history "a&b=c" 9 2`, `read "Bo"`, `compose ""`, `keep {To:Bo Text:half ReplyTo:3 Urgent:true}`}
	if !reflect.DeepEqual(e.calls, want) {
		t.Errorf("calls %q, not %q", e.calls, want)
	}
}

func TestEventsStreamUntilTheEngineEnds(t *testing.T) {
	e, c, _ := serve(t)
	sub := c.Subscribe(localapi.Popup)
	defer sub.Close()
	want := chat.Event{Type: chat.EventMessage, At: time.Unix(3, 0).UTC(), Message: &chat.Message{Text: "a\nb\r\ndata: c"}}
	e.event <- want
	got, err := sub.Next(t.Context())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
	close(e.event)
	if _, err := sub.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("the end is %v", err)
	}
	if e.calls[0] != "subscribe popup" {
		t.Errorf("calls %q", e.calls)
	}
}

func TestCloseEndsAWaitingNext(t *testing.T) {
	e, c, _ := serve(t)
	sub := c.Subscribe(localapi.Watcher)
	e.event <- chat.Event{Type: chat.EventSnapshot}
	if _, err := sub.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := sub.Next(context.Background()); ended <- err }()
	sub.Close()
	if err := <-ended; err == nil || errors.Is(err, io.EOF) {
		t.Errorf("Next after Close: %v", err)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	_, _, socket := serve(t)
	for _, request := range []string{
		"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{]}",
		"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{\"what\":1}",
		"POST /v1/read HTTP/1.1\r\nHost: x\r\nContent-Length: 2000012\r\n\r\n{\"peer\":\"" + strings.Repeat("x", 2_000_001) + "\"}",
		"GET /v1/history?limit=-1 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/events?role=king HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		conn, err := dial(socket)
		if err != nil {
			t.Fatal(err)
		}
		// The server may hang up on a body that is too long before it is sent.
		written := make(chan struct{})
		go func() { _, _ = io.WriteString(conn, request); close(written) }()
		answer := make([]byte, 12)
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 400" {
			t.Errorf("%.40q is answered %q, %v", request, answer, err)
		}
		conn.Close()
		<-written
	}
}
