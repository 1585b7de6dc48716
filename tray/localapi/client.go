package localapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"earshot/protocol/hostnet/localhttp"
	"earshot/tray/chat"
)

// Client is an Engine in another process. Errors are *Error where the engine
// answered, ErrNotRunning where nobody did, and ErrLost where the answer broke
// off.
type Client struct {
	http *localhttp.Client
}

var _ Engine = (*Client)(nil)

// Dial returns a client of the engine at a profile's socket. It opens nothing
// yet.
func Dial(socket string) *Client {
	return &Client{localhttp.NewClient(func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx, socket)
		if err != nil {
			return nil, notRunning{err}
		}
		return conn, nil
	}, lost)}
}

// notRunning is a failure to open the socket.
type notRunning struct{ cause error }

func (e notRunning) Error() string { return e.cause.Error() }
func (e notRunning) Unwrap() error { return ErrNotRunning }

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.Close() }

// Ask returns the engine's status.
func (c *Client) Ask(ctx context.Context) (chat.Status, error) {
	var status chat.Status
	err := c.do(ctx, "GET", "/v1/status", nil, &status)
	return status, err
}

// Status implements Engine. If the engine doesn't answer, the status is
// Offline and Problem says so.
func (c *Client) Status() chat.Status {
	status, err := c.Ask(context.Background())
	if err != nil {
		return chat.Status{Connection: chat.Offline, Problem: err.Error()}
	}
	return status
}

// People is Roster with an error.
func (c *Client) People(ctx context.Context) ([]chat.Person, error) {
	var people []chat.Person
	err := c.do(ctx, "GET", "/v1/roster", nil, &people)
	return people, err
}

// Roster implements Engine. It is empty if the engine doesn't answer.
func (c *Client) Roster() []chat.Person {
	people, err := c.People(context.Background())
	if err != nil {
		return nil
	}
	return people
}

// History implements Engine.
func (c *Client) History(ctx context.Context, peer string, before int64, limit int) ([]chat.Message, error) {
	query := url.Values{"peer": {peer}, "before": {strconv.FormatInt(before, 10)}, "limit": {strconv.Itoa(limit)}}
	var messages []chat.Message
	err := c.do(ctx, "GET", "/v1/history?"+query.Encode(), nil, &messages)
	return messages, err
}

// Send implements Engine.
func (c *Client) Send(ctx context.Context, draft chat.Draft, wait bool) (chat.Message, error) {
	var message chat.Message
	err := c.do(ctx, "POST", "/v1/messages", sendRequest{draft, wait}, &message)
	return message, err
}

// Draft implements Engine.
func (c *Client) Draft(ctx context.Context, peer string) (chat.Draft, error) {
	var draft chat.Draft
	err := c.do(ctx, "GET", "/v1/draft?"+url.Values{"peer": {peer}}.Encode(), nil, &draft)
	return draft, err
}

// KeepDraft implements Engine.
func (c *Client) KeepDraft(ctx context.Context, draft chat.Draft) error {
	return c.do(ctx, "POST", "/v1/draft", draft, nil)
}

// Retry implements Engine.
func (c *Client) Retry(ctx context.Context, id int64) error {
	return c.do(ctx, "POST", "/v1/retry", idRequest{ID: id}, nil)
}

// MarkRead implements Engine.
func (c *Client) MarkRead(ctx context.Context, peer string) error {
	return c.do(ctx, "POST", "/v1/read", peerRequest{Peer: peer}, nil)
}

// Compose implements Engine.
func (c *Client) Compose(ctx context.Context, peer string) error {
	return c.do(ctx, "POST", "/v1/compose", peerRequest{Peer: peer}, nil)
}

// End is Quit with an error.
func (c *Client) End(ctx context.Context) error {
	return c.do(ctx, "POST", "/v1/quit", struct{}{}, nil)
}

// Quit implements Engine.
func (c *Client) Quit() { _ = c.End(context.Background()) }

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	return c.http.Do(ctx, method, path, in, out)
}

// lost is what became of a call that got no answer, or half of one.
func lost(err error) error {
	if errors.Is(err, ErrNotRunning) {
		return ErrNotRunning
	}
	return ErrLost
}

// Subscribe implements Engine. It connects at the first Next.
func (c *Client) Subscribe(role Role) Subscription {
	ctx, cancel := context.WithCancel(context.Background())
	return &remote{client: c, role: role, ctx: ctx, cancel: cancel}
}

// remote is a stream of events. One goroutine calls Next; Close may be called
// from another.
type remote struct {
	client *Client
	role   Role
	ctx    context.Context
	cancel func()

	mu    sync.Mutex // guards what follows, and is held by Next
	body  io.ReadCloser
	lines *bufio.Reader
}

// Next implements Subscription. If ctx ends while it waits, the stream is at
// its end too.
func (r *remote) Next(ctx context.Context) (chat.Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer context.AfterFunc(ctx, r.cancel)()
	event, err := r.next()
	if err != nil && ctx.Err() != nil {
		return chat.Event{}, ctx.Err()
	}
	return event, err
}

func (r *remote) next() (chat.Event, error) {
	if r.body == nil {
		//nolint:bodyclose // Close does it: the stream lives as long as the subscription
		response, err := r.client.http.Request(r.ctx, "GET", "/v1/events?role="+url.QueryEscape(string(r.role)), nil)
		if err != nil {
			return chat.Event{}, err
		}
		r.body, r.lines = response.Body, bufio.NewReader(response.Body)
	}
	name := ""
	for {
		line, err := r.lines.ReadString('\n')
		if err != nil {
			return chat.Event{}, r.client.http.Lost(r.ctx, err)
		}
		line = strings.TrimRight(line, "\r\n")
		if value, ok := strings.CutPrefix(line, "event: "); ok {
			name = value
			continue
		}
		data, ok := strings.CutPrefix(line, "data: ")
		switch {
		case !ok:
			continue
		case name == endEvent:
			return chat.Event{}, io.EOF
		}
		var event chat.Event
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return chat.Event{}, fmt.Errorf("localapi: event: %w", err)
		}
		return event, nil
	}
}

// Close implements Subscription.
func (r *remote) Close() {
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.body != nil {
		r.body.Close()
	}
}
