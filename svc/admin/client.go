package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
)

// Client is the Backend in the coordinator's process, from another one. Errors
// are *Error where the coordinator answered, ErrNotRunning or ErrNotAllowed
// where it can't be reached, and ErrLost where its answer broke off.
type Client struct{ http *http.Client }

// Dial returns a client of the coordinator with a data directory. It opens
// nothing yet.
func Dial(data string) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dial(ctx, data)
			if err != nil {
				return nil, unreachable{err}
			}
			return conn, nil
		},
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
	}
	return &Client{&http.Client{Transport: transport}}
}

// unreachable is a failure to open the socket.
type unreachable struct{ cause error }

func (e unreachable) Error() string { return e.cause.Error() }
func (e unreachable) Unwrap() error {
	if errors.Is(e.cause, fs.ErrPermission) {
		return ErrNotAllowed
	}
	return ErrNotRunning
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Link is Backend.Link.
func (c *Client) Link(ctx context.Context, host string) (string, error) {
	var answer linkAnswer
	err := c.do(ctx, "GET", "/v1/link?host="+url.QueryEscape(host), nil, &answer)
	return answer.Link, err
}

// Invite is Backend.Invite.
func (c *Client) Invite(ctx context.Context, wanted InviteRequest) (i Invitation, err error) {
	return i, c.do(ctx, "POST", "/v1/invite", wanted, &i)
}

// Users is Backend.Users.
func (c *Client) Users(ctx context.Context) (all []User, err error) {
	return all, c.do(ctx, "GET", "/v1/users", nil, &all)
}

// User is Backend.User.
func (c *Client) User(ctx context.Context, name string) (u User, err error) {
	return u, c.do(ctx, "GET", "/v1/users?name="+url.QueryEscape(name), nil, &u)
}

// Approve is Backend.Approve.
func (c *Client) Approve(ctx context.Context, name string) (u User, err error) {
	return u, c.do(ctx, "POST", "/v1/users/approve", nameRequest{Name: name}, &u)
}

// Reset is Backend.Reset.
func (c *Client) Reset(ctx context.Context, name string) (u User, err error) {
	return u, c.do(ctx, "POST", "/v1/users/reset", nameRequest{Name: name}, &u)
}

// Remove is Backend.Remove.
func (c *Client) Remove(ctx context.Context, name string) error {
	return c.do(ctx, "POST", "/v1/users/remove", nameRequest{Name: name}, nil)
}

// RemoveDevice is Backend.RemoveDevice.
func (c *Client) RemoveDevice(ctx context.Context, name, id string) (u User, err error) {
	return u, c.do(ctx, "POST", "/v1/users/remove-device", nameRequest{Name: name, Device: id}, &u)
}

// Backup is Backend.Backup. What was written is not the whole if it fails.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	response, err := c.request(ctx, "GET", "/v1/backup", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body := &source{r: response.Body}
	if _, err := io.Copy(w, body); err != nil {
		if body.failed {
			return lost(ctx, err)
		}
		return err
	}
	return nil
}

// source tells whether it was the reading that failed.
type source struct {
	r      io.Reader
	failed bool
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.failed = err != nil && !errors.Is(err, io.EOF)
	return n, err
}

// Restore is Backend.Restore.
func (c *Client) Restore(ctx context.Context, r io.Reader) (restored Restored, err error) {
	response, err := c.request(ctx, "POST", "/v1/restore", r)
	if err != nil {
		return restored, err
	}
	return restored, answer(ctx, response, &restored)
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	response, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	return answer(ctx, response, out)
}

// answer reads an answer, and to its end, if out is nil.
func answer(ctx context.Context, response *http.Response, out any) (err error) {
	defer response.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, response.Body)
	} else {
		err = json.NewDecoder(response.Body).Decode(out)
	}
	if err != nil {
		return lost(ctx, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://earshotd"+path, body)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, lost(ctx, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	refusal := new(Error)
	if err := json.NewDecoder(response.Body).Decode(refusal); err != nil || refusal.Text == "" {
		return nil, fmt.Errorf("earshotd does not understand %s %s: %s; perhaps it is of another version", method, path, response.Status)
	}
	return nil, refusal
}

func lost(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrNotAllowed):
		return ErrNotAllowed
	case errors.Is(err, ErrNotRunning):
		return ErrNotRunning
	}
	return ErrLost
}
