// Package engine is what the coordinator must not forget: who owns which name,
// with which devices, who has been invited, and the coordinator's own key.
//
// It is kept in NATS JetStream, which runs inside the process without listening
// anywhere. What an engine has answered has been written to the disk before, so
// a power cut takes back nothing. Reads come from memory and never wait.
//
// NATS mends a damaged store by leaving out what it can't read. Accounts must
// not vanish that way, with their names free for anyone: see table and seal,
// which make Open refuse such a store instead.
package engine

import (
	"errors"
	"fmt"
)

// ErrEngine is the family of everything that is refused or fails here.
var ErrEngine = errors.New("accounts")

// What may be wrong with a claim, or with what an administrator asks for.
var (
	ErrTaken          = fmt.Errorf("%w: the name belongs to somebody else", ErrEngine)
	ErrOtherAccount   = fmt.Errorf("%w: the device belongs to an account of another name", ErrEngine)
	ErrInviteNeeded   = fmt.Errorf("%w: an invitation is needed for the name", ErrEngine)
	ErrInviteInvalid  = fmt.Errorf("%w: the invitation has expired, has been used, or was made for somebody else", ErrEngine)
	ErrPending        = fmt.Errorf("%w: the account waits for an administrator's approval", ErrEngine)
	ErrRemoved        = fmt.Errorf("%w: the device has been removed from the account", ErrEngine)
	ErrTooManyDevices = fmt.Errorf("%w: the account has %d devices already, and there can't be more", ErrEngine, MaxDevices)
	ErrUnknown        = fmt.Errorf("%w: there is no such account or device", ErrEngine)
	ErrFull           = fmt.Errorf("%w: there are too many accounts, unapproved accounts or invitations", ErrEngine)
	ErrDevice         = fmt.Errorf("%w: the device's label or endorsements are too long", ErrEngine)
	ErrExpiry         = fmt.Errorf("%w: an invitation must end in the future", ErrEngine)
	ErrPolicy         = fmt.Errorf("%w: there is no such policy of registration; it is open, invite or approve", ErrEngine)
)

// What may be wrong with the engine itself.
var (
	// ErrInUse is a directory that another process has opened.
	ErrInUse = fmt.Errorf("%w: another coordinator uses the data directory", ErrEngine)
	// ErrDamaged is a store that lacks something that it held before.
	ErrDamaged = fmt.Errorf("%w: the stored accounts are damaged", ErrEngine)
	// ErrStore is a write that failed, whose outcome is open. Nothing is
	// written after one until the engine is opened anew.
	ErrStore = fmt.Errorf("%w: the accounts can't be written; see that the disk has room and is writable, then restart earshotd", ErrEngine)
	// ErrClosed is an engine that has been closed.
	ErrClosed = fmt.Errorf("%w: the coordinator is ending", ErrEngine)
	// ErrBackup is a file that is no backup, or not a whole one.
	ErrBackup = fmt.Errorf("%w: this is not a backup of earshotd, or it is damaged; nothing has been changed", ErrEngine)
)
