package engine

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"time"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
)

// Claim answers a device that says it is name: it returns the account, with the
// device in it, durably. That is
//
//   - the device's own account, unchanged;
//   - a new account, as policy says. Where that is PolicyApprove and token no
//     good, the account is Pending, and the error is ErrPending until that
//     changes;
//   - somebody's account, if token is of an invitation for this very name.
//
// An invitation is good for one device, which may use it again for the same
// name. A token that isn't needed is used up all the same if it is good, and
// overlooked if not. The zero Added is now.
//
// Errors: ErrTaken, ErrOtherAccount, ErrInviteNeeded, ErrInviteInvalid,
// ErrPending (with the account), ErrRemoved, ErrTooManyDevices, ErrDevice,
// ErrFull, those of classic.ValidateName, and the engine's own.
func (e *Engine) Claim(ctx context.Context, name string, d Device, policy Policy, token string) (Account, error) {
	if err := classic.ValidateName(name); err != nil {
		return Account{}, err
	}
	if _, err := ParsePolicy(string(policy)); err != nil {
		return Account{}, err
	}
	if err := d.check(); err != nil {
		return Account{}, err
	}
	key := classic.NameKey(name)
	e.writing.Lock()
	defer e.writing.Unlock()
	if err := e.writable(ctx); err != nil {
		return Account{}, err
	}
	d.Added = e.orNow(d.Added)
	c := claim{name: name, device: d, policy: policy, now: e.orNow(time.Time{}), token: token != ""}
	c.account, c.exists = e.contents.accounts[key]
	if owner, owned := e.contents.owners[d.Key]; owned {
		c.owner, c.elsewhere = owner == key, owner != key
	}
	hash := tokenKey(token)
	i, found := e.contents.invites[hash]
	c.invited = found && i.good(key, d.Key, c.now)
	c.forName = c.invited && i.For == key

	after, spends, err := c.decide()
	if err != nil {
		return after, err
	}
	if c.owner && after.Pending == c.account.Pending {
		return after, nil
	}
	if !c.exists && (len(e.contents.accounts) >= maxAccounts || after.Pending && e.contents.pending >= maxPending) {
		return Account{}, ErrFull
	}
	if spends && i.UsedBy == nil {
		i.UsedBy, i.UsedFor = d.Key[:], key
		if err := e.putInvite(ctx, hash, &i); err != nil {
			return Account{}, err
		}
	}
	if err := e.putAccount(ctx, key, after); err != nil {
		return Account{}, err
	}
	if after.Pending {
		return after, ErrPending
	}
	return after, nil
}

// good says whether a device may have the account of a name by the invitation.
func (i invite) good(name string, device identity.PublicKey, now time.Time) bool {
	switch {
	case !now.Before(i.Expires), i.For != "" && i.For != name:
		return false
	case i.UsedBy != nil:
		return bytes.Equal(i.UsedBy, device[:]) && i.UsedFor == name
	}
	return true
}

// orNow is a time as it is stored, in UTC, or the present for none.
func (e *Engine) orNow(t time.Time) time.Time {
	if t.IsZero() {
		t = e.now()
	}
	return t.UTC().Round(0)
}

// AddDevice adds a device that others of the account have endorsed; the caller
// has verified that. Each endorsement must be by a device that the account
// still has. A device that was removed may come back this way.
//
// Errors: ErrUnknown, ErrPending, ErrOtherAccount, ErrTooManyDevices, ErrDevice,
// and the engine's own.
func (e *Engine) AddDevice(ctx context.Context, name string, d Device) (Account, error) {
	if err := d.check(); err != nil {
		return Account{}, err
	}
	return e.change(ctx, name, func(key string, a Account) (Account, error) {
		if a.Pending {
			return a, ErrPending
		}
		switch owner, owned := e.contents.owners[d.Key]; {
		case owned && owner == key:
			return a, nil
		case owned:
			return a, ErrOtherAccount
		}
		for _, by := range d.Endorsements {
			if _, has := a.Device(by.By); !has {
				return a, ErrUnknown
			}
		}
		d.Added = e.orNow(d.Added)
		return a.with(d)
	})
}

// RemoveDevice takes a device off its account. An account that has none left is
// as after Reset. A device that isn't there is ErrUnknown.
func (e *Engine) RemoveDevice(ctx context.Context, name string, device identity.PublicKey) error {
	_, err := e.change(ctx, name, func(key string, a Account) (Account, error) {
		if _, has := a.Device(device); !has {
			return a, ErrUnknown
		}
		return a.without(func(d Device) bool { return d.Key == device }),
			e.forgetInvites(ctx, func(i invite) bool { return bytes.Equal(i.UsedBy, device[:]) })
	})
	return err
}

// Approve lets a pending account in. It is nil for one that is in already, and
// ErrUnknown if there is none.
func (e *Engine) Approve(ctx context.Context, name string) error {
	_, err := e.change(ctx, name, func(_ string, a Account) (Account, error) {
		a.Pending = false
		return a, nil
	})
	return err
}

// Reset takes all devices off an account, for somebody who has lost them. The
// name stays reserved: whatever the policy, only an invitation for this name,
// made after the reset, gets it back. No account is ErrUnknown.
func (e *Engine) Reset(ctx context.Context, name string) error {
	_, err := e.change(ctx, name, func(key string, a Account) (Account, error) {
		a = a.without(func(Device) bool { return true })
		a.Pending = false
		return a, e.forgetInvites(ctx, func(i invite) bool { return i.For == key || i.UsedFor == key })
	})
	return err
}

// Remove removes an account: its name, and each of its devices, can be in a new
// account as the policy says. No account is ErrUnknown.
func (e *Engine) Remove(ctx context.Context, name string) error {
	_, err := e.change(ctx, name, func(key string, a Account) (Account, error) {
		return Account{}, e.forgetInvites(ctx, func(i invite) bool { return i.For == key || i.UsedFor == key })
	})
	return err
}

// change writes what f makes of an account, if it makes something else of it.
func (e *Engine) change(ctx context.Context, name string, f func(key string, a Account) (Account, error)) (Account, error) {
	key := classic.NameKey(name)
	e.writing.Lock()
	defer e.writing.Unlock()
	if err := e.writable(ctx); err != nil {
		return Account{}, err
	}
	before, exists := e.contents.accounts[key]
	if !exists {
		return Account{}, ErrUnknown
	}
	after, err := f(key, before)
	if err != nil {
		return before, err
	}
	if after.Name != "" && before.same(after) {
		return before, nil
	}
	if err := e.putAccount(ctx, key, after); err != nil {
		return before, err
	}
	return after, nil
}

// same says whether two accounts are one, unchanged.
func (a Account) same(b Account) bool { return bytes.Equal(marshal(a.record()), marshal(b.record())) }

// Invite makes an invitation and returns its token, which is good once and
// until it expires: for the account of name, whether there is one yet or not,
// or for any account that there is not if name is empty.
//
// Errors: ErrExpiry, ErrFull, those of classic.ValidateName, and the engine's
// own.
func (e *Engine) Invite(ctx context.Context, name string, expires time.Time) (token string, err error) {
	i := invite{Expires: expires.UTC().Round(0)}
	if name != "" {
		if err := classic.ValidateName(name); err != nil {
			return "", err
		}
		i.For = classic.NameKey(name)
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	if err := e.writable(ctx); err != nil {
		return "", err
	}
	now := e.now()
	if !now.Before(expires) {
		return "", ErrExpiry
	}
	if err := e.forgetInvites(ctx, func(i invite) bool { return !now.Before(i.Expires) }); err != nil {
		return "", err
	}
	if len(e.contents.invites) >= maxInvites {
		return "", ErrFull
	}
	token = rand.Text()
	if err := e.putInvite(ctx, tokenKey(token), &i); err != nil {
		return "", err
	}
	return token, nil
}

// forgetInvites deletes invitations. The caller holds writing.
func (e *Engine) forgetInvites(ctx context.Context, which func(invite) bool) error {
	var gone []string
	for key, i := range e.contents.invites {
		if which(i) {
			gone = append(gone, key)
		}
	}
	slices.Sort(gone)
	for _, key := range gone {
		if err := e.putInvite(ctx, key, nil); err != nil {
			return err
		}
	}
	return nil
}
