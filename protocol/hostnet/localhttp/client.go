package localhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Client asks a Service. Errors are *Error where that answered, and what the
// functions below make of everything else.
type Client struct {
	http *http.Client
	lost func(error) error
}

// NewClient opens nothing yet. dial opens a connection; lost says what an error
// of dial's, or of an answer that broke off, is to the caller.
func NewClient(dial func(context.Context) (net.Conn, error), lost func(error) error) *Client {
	return &Client{lost: lost, http: &http.Client{Transport: &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		MaxIdleConns:           4,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
	}}}
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Lost is what an error on the way is to the caller: ctx's own, or what lost
// says.
func (c *Client) Lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.lost(err)
}

// Do sends in as JSON, unless it is nil, and reads the answer into out, unless
// that is nil.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	response, err := c.Request(ctx, method, path, body)
	if err != nil {
		return err
	}
	return c.Answer(ctx, response, out)
}

// Answer reads an answer and closes it.
func (c *Client) Answer(ctx context.Context, response *http.Response, out any) (err error) {
	defer response.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, response.Body)
	} else {
		err = json.NewDecoder(response.Body).Decode(out)
	}
	if err != nil {
		return c.Lost(ctx, err)
	}
	return nil
}

// Request returns an answer that is none of errors; the caller closes its body.
func (c *Client) Request(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, body)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.Lost(ctx, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	refusal := new(Error)
	if err := json.NewDecoder(response.Body).Decode(refusal); err != nil || refusal.Text == "" {
		return nil, fmt.Errorf("the other program does not understand %s %s: %s; perhaps it is of another version", method, path, response.Status)
	}
	return nil, refusal
}
