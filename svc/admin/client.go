package admin

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/url"

	"earshot/protocol/hostnet/localhttp"
)

// Client is the Backend in the coordinator's process, from another one. Errors
// are *Error where the coordinator answered, ErrNotRunning or ErrNotAllowed
// where it can't be reached, and ErrLost where its answer broke off.
type Client struct{ http *localhttp.Client }

// Dial returns a client of the coordinator with a data directory. It opens
// nothing yet.
func Dial(data string) *Client {
	return &Client{localhttp.NewClient(func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx, data)
		if err != nil {
			return nil, unreachable{err}
		}
		return conn, nil
	}, lost)}
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
func (c *Client) Close() { c.http.Close() }

// Link is Backend.Link.
func (c *Client) Link(ctx context.Context, host string) (string, error) {
	var answer linkAnswer
	err := c.http.Do(ctx, "GET", "/v1/link?host="+url.QueryEscape(host), nil, &answer)
	return answer.Link, err
}

// Invite is Backend.Invite.
func (c *Client) Invite(ctx context.Context, wanted InviteRequest) (i Invitation, err error) {
	err = c.http.Do(ctx, "POST", "/v1/invite", wanted, &i)
	return i, err
}

// Users is Backend.Users.
func (c *Client) Users(ctx context.Context) (all []User, err error) {
	err = c.http.Do(ctx, "GET", "/v1/users", nil, &all)
	return all, err
}

// User is Backend.User.
func (c *Client) User(ctx context.Context, name string) (u User, err error) {
	err = c.http.Do(ctx, "GET", "/v1/users?name="+url.QueryEscape(name), nil, &u)
	return u, err
}

// Approve is Backend.Approve.
func (c *Client) Approve(ctx context.Context, name string) (u User, err error) {
	err = c.http.Do(ctx, "POST", "/v1/users/approve", nameRequest{Name: name}, &u)
	return u, err
}

// Reset is Backend.Reset.
func (c *Client) Reset(ctx context.Context, name string) (u User, err error) {
	err = c.http.Do(ctx, "POST", "/v1/users/reset", nameRequest{Name: name}, &u)
	return u, err
}

// Remove is Backend.Remove.
func (c *Client) Remove(ctx context.Context, name string) error {
	return c.http.Do(ctx, "POST", "/v1/users/remove", nameRequest{Name: name}, nil)
}

// RemoveDevice is Backend.RemoveDevice.
func (c *Client) RemoveDevice(ctx context.Context, name, id string) (u User, err error) {
	err = c.http.Do(ctx, "POST", "/v1/users/remove-device", nameRequest{Name: name, Device: id}, &u)
	return u, err
}

// Reload is Backend.Reload.
func (c *Client) Reload(ctx context.Context) (r Reloaded, err error) {
	err = c.http.Do(ctx, "POST", "/v1/reload", struct{}{}, &r)
	return r, err
}

// Backup is Backend.Backup. What was written is not the whole if it fails.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	response, err := c.http.Request(ctx, "GET", "/v1/backup", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body := &source{r: response.Body}
	if _, err := io.Copy(w, body); err != nil {
		if body.failed {
			return c.http.Lost(ctx, err)
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
	//nolint:bodyclose // Answer does it
	response, err := c.http.Request(ctx, "POST", "/v1/restore", r)
	if err != nil {
		return restored, err
	}
	err = c.http.Answer(ctx, response, &restored)
	return restored, err
}

// lost is what became of a call that got no answer, or half of one.
func lost(err error) error {
	for _, known := range []error{ErrNotAllowed, ErrNotRunning} {
		if errors.Is(err, known) {
			return known
		}
	}
	return ErrLost
}
