// Package admin is the one door through which an administrator works on a
// running coordinator: HTTP and JSON over a Unix socket in the data directory
// that only its owner and root may open, or over a named pipe that only the
// service's account and administrators may.
package admin

import (
	"context"
	"io"
	"time"

	"earshot/protocol/hostnet/localhttp"
)

// Backend does what an administrator asks for. Names are spelled in any way
// that is the same name. Methods may be called from any goroutine. An error's
// text is for the administrator, unless it is an *Error already.
type Backend interface {
	// Link returns the coordinator's link, with a host in it, or the
	// configured one if host is empty.
	Link(host string) (string, error)
	// Invite makes an invitation and the link with it.
	Invite(ctx context.Context, wanted InviteRequest) (Invitation, error)
	// Users returns all users in the order of their names.
	Users() []User
	// User returns one; none is an error.
	User(name string) (User, error)
	// Approve, Reset and Remove do that to a user, and return what the user
	// is from then on (the zero User after Remove).
	Approve(ctx context.Context, name string) (User, error)
	Reset(ctx context.Context, name string) (User, error)
	Remove(ctx context.Context, name string) (User, error)
	// RemoveDevice takes a device off a user. ID is the spelling of the
	// device's ID, or its beginning if no other device of the user has it.
	RemoveDevice(ctx context.Context, name, id string) (User, error)
	// Reload reads the configuration anew and puts what can change without a
	// restart into effect. One with a mistake changes nothing, and is the error.
	Reload(ctx context.Context) (Reloaded, error)
	// Backup writes a backup.
	Backup(ctx context.Context, w io.Writer) error
	// Restore reads a backup to its end and puts it in the place of
	// everything that there is.
	Restore(ctx context.Context, r io.Reader) (Restored, error)
}

// InviteRequest is what an invitation is to be for.
type InviteRequest struct {
	// Name is the user whose new device, or who, is invited; empty is anyone
	// whose name is free.
	Name string `json:"name,omitempty"`
	// Host is what the link names; empty is the configured one.
	Host string `json:"host,omitempty"`
	// Lifetime is for how long it is good.
	Lifetime time.Duration `json:"lifetime_ns"`
}

// Invitation is a link that lets somebody in.
type Invitation struct {
	Link string `json:"link"`
	// Expires is when it stops doing so; the zero time is a link that
	// everyone may use, because registration is open.
	Expires time.Time `json:"expires,omitzero"`
}

// State is what a user's account is.
type State string

// The states.
const (
	Active  State = "active"
	Pending State = "pending" // it waits for an approval
	Reset   State = "reset"   // it has no devices; an invitation for it is needed
)

// User is an account.
type User struct {
	Name    string    `json:"name"`
	State   State     `json:"state"`
	Created time.Time `json:"created"`
	Devices []Device  `json:"devices"`
	Removed []string  `json:"removed"` // IDs of devices that were removed
}

// Device is one of a user's.
type Device struct {
	ID         string    `json:"id"`
	Label      string    `json:"label"`
	Added      time.Time `json:"added"`
	EndorsedBy []string  `json:"endorsed_by"` // IDs of devices that let it join
}

// Restored is what there is after a restore.
type Restored struct {
	Users int    `json:"users"`
	Link  string `json:"link"` // with the restored key's fingerprint
}

// Reloaded is what a reload has done, by the keys of the configuration.
type Reloaded struct {
	// Changed is in effect now.
	Changed []string `json:"changed"`
	// Waiting is different in the configuration, and takes effect at the next
	// start.
	Waiting []string `json:"waiting"`
}

// Error is an error of the backend, which travels as it is. Its text reads
// behind a program's name and a colon.
type Error = localhttp.Error

// Codes tell a program what kind of error a text is about.
const (
	CodeBadRequest = localhttp.CodeBadRequest
	CodeUnknown    = "unknown"
	CodeRefused    = "refused"
	CodeFailed     = localhttp.CodeFailed
)

// problem is an error whose text is for the administrator.
type problem string

func (p problem) Error() string { return string(p) }

// What a Client says of a coordinator that it doesn't reach.
const (
	ErrNotRunning = problem("earshotd does not run with this data directory; start it first")
	ErrNotAllowed = problem("only the administrator may do this; run it with sudo, or as the account that runs earshotd")
	ErrLost       = problem("earshotd has ended before it was done; look whether it was")
)
