package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/svc/admin"
	"earshot/svc/config"
	"earshot/svc/engine"
)

// backend is what administrators reach in the running coordinator.
type backend struct {
	reloading    reloading
	accounts     *engine.Engine
	certificates *certificates
	log          *slog.Logger
}

var _ admin.Backend = (*backend)(nil)

// maxLifetime is the longest time for which an invitation may be good.
const maxLifetime = 366 * 24 * time.Hour

// Link implements admin.Backend.
func (b *backend) Link(host string) (string, error) {
	link, err := b.link(host)
	return link.String(), told(err)
}

func (b *backend) link(host string) (identity.Link, error) {
	if !b.reloading.now().Secure {
		return identity.Link{}, refusal("the coordinator has no link, because its configuration says secure = false")
	}
	fingerprint, err := b.certificates.fingerprint()
	if err != nil {
		return identity.Link{}, err
	}
	own, err := os.Hostname()
	if err != nil || own == "" {
		own = "localhost"
	}
	return b.reloading.now().Link(host, own, fingerprint)
}

// sayLink logs what people name as their server.
func (b *backend) sayLink() {
	if !b.reloading.now().Secure {
		return
	}
	link, err := b.link("")
	if err != nil {
		b.log.Warn("there is no link to this coordinator", "error", err)
		return
	}
	b.log.Info("people come here by this link", "link", link.String(), "registration", b.reloading.now().policy)
}

// Invite implements admin.Backend. Where registration is open, whoever has a
// name that is free needs no invitation.
func (b *backend) Invite(ctx context.Context, wanted admin.InviteRequest) (admin.Invitation, error) {
	link, err := b.link(wanted.Host)
	if err != nil {
		return admin.Invitation{}, told(err)
	}
	if wanted.Name == "" && b.reloading.now().policy == engine.PolicyOpen {
		return admin.Invitation{Link: link.String()}, nil
	}
	if wanted.Lifetime <= 0 || wanted.Lifetime > maxLifetime {
		return admin.Invitation{}, refusal("an invitation is good for a year at most, and for longer than nothing")
	}
	expires := time.Now().Add(wanted.Lifetime)
	if link.Invite, err = b.accounts.Invite(ctx, wanted.Name, expires); err != nil {
		return admin.Invitation{}, told(err)
	}
	b.log.Info("an administrator has made an invitation", "name", wanted.Name, "expires", expires)
	return admin.Invitation{Link: link.String(), Expires: expires}, nil
}

// Users implements admin.Backend.
func (b *backend) Users() []admin.User {
	var all []admin.User
	for _, a := range b.accounts.Accounts() {
		all = append(all, user(a))
	}
	return all
}

// User implements admin.Backend.
func (b *backend) User(name string) (admin.User, error) {
	a, ok := b.accounts.Lookup(name)
	if !ok {
		return admin.User{}, unknown(name)
	}
	return user(a), nil
}

// Approve implements admin.Backend.
func (b *backend) Approve(ctx context.Context, name string) (admin.User, error) {
	return b.do(ctx, "approved", name, b.accounts.Approve)
}

// Reset implements admin.Backend.
func (b *backend) Reset(ctx context.Context, name string) (admin.User, error) {
	return b.do(ctx, "reset", name, b.accounts.Reset)
}

// Remove implements admin.Backend.
func (b *backend) Remove(ctx context.Context, name string) (admin.User, error) {
	return b.do(ctx, "removed", name, b.accounts.Remove)
}

func (b *backend) do(ctx context.Context, what, name string, f func(context.Context, string) error) (admin.User, error) {
	err := f(ctx, name)
	switch {
	case errors.Is(err, engine.ErrUnknown):
		return admin.User{}, unknown(name)
	case err != nil:
		return admin.User{}, told(err)
	}
	b.log.Info("an administrator has changed a user", "name", name, "what", what)
	a, ok := b.accounts.Lookup(name)
	if !ok {
		return admin.User{}, nil
	}
	return user(a), nil
}

// shortestID is how much of a device's ID must be given.
const shortestID = 4

// RemoveDevice implements admin.Backend.
func (b *backend) RemoveDevice(ctx context.Context, name, id string) (admin.User, error) {
	a, ok := b.accounts.Lookup(name)
	if !ok {
		return admin.User{}, unknown(name)
	}
	var found []identity.PublicKey
	for _, d := range a.Devices {
		if wanted := compact(id); len(wanted) >= shortestID && strings.HasPrefix(compact(d.Key.String()), wanted) {
			found = append(found, d.Key)
		}
	}
	if len(found) != 1 {
		return admin.User{}, &admin.Error{Code: admin.CodeUnknown, Text: fmt.Sprintf(
			"%d of the devices of %s have an ID that begins with %q; `earshotd user show` lists them, and at least %d characters must be given",
			len(found), a.Name, id, shortestID)}
	}
	return b.do(ctx, "device removed", name, func(ctx context.Context, name string) error {
		return b.accounts.RemoveDevice(ctx, name, found[0])
	})
}

// compact is an ID's spelling without what is only there for the eye.
func compact(id string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(id))
}

// Backup implements admin.Backend.
func (b *backend) Backup(ctx context.Context, w io.Writer) error {
	if err := b.accounts.Backup(ctx, w); err != nil {
		return told(err)
	}
	b.log.Info("an administrator has made a backup")
	return nil
}

// Restore implements admin.Backend.
func (b *backend) Restore(ctx context.Context, r io.Reader) (admin.Restored, error) {
	if err := b.accounts.Restore(ctx, r); err != nil {
		return admin.Restored{}, told(err)
	}
	restored := admin.Restored{Users: len(b.accounts.Accounts())}
	if link, err := b.link(""); err == nil {
		restored.Link = link.String()
	}
	b.log.Info("an administrator has restored a backup", "users", restored.Users)
	return restored, nil
}

func user(a engine.Account) admin.User {
	u := admin.User{Name: a.Name, State: admin.Active, Created: a.Created, Devices: []admin.Device{}, Removed: []string{}}
	switch {
	case a.Pending:
		u.State = admin.Pending
	case len(a.Devices) == 0:
		u.State = admin.Reset
	}
	for _, d := range a.Devices {
		device := admin.Device{ID: d.Key.String(), Label: d.Label, Added: d.Added, EndorsedBy: []string{}}
		for _, e := range d.Endorsements {
			device.EndorsedBy = append(device.EndorsedBy, e.By.String())
		}
		u.Devices = append(u.Devices, device)
	}
	for _, key := range a.Removed {
		u.Removed = append(u.Removed, key.String())
	}
	return u
}

func unknown(name string) error {
	return &admin.Error{Code: admin.CodeUnknown, Text: fmt.Sprintf("there is no user %q; `earshotd user list` shows all", name)}
}

func refusal(text string) error { return &admin.Error{Code: admin.CodeRefused, Text: text} }

// told is an error as an administrator is told of it.
func told(err error) error {
	if err == nil {
		return nil
	}
	if already, ok := errors.AsType[*admin.Error](err); ok {
		return already
	}
	code := admin.CodeFailed
	for _, mistake := range []error{engine.ErrBackup, engine.ErrExpiry, engine.ErrFull, config.ErrConfig, classic.ErrName} {
		if errors.Is(err, mistake) {
			code = admin.CodeRefused
		}
	}
	return &admin.Error{Code: code, Text: strings.TrimSuffix(sentence(err), ".")}
}
