package control

import (
	"errors"
	"math/rand/v2"

	"earshot/protocol/classic"
	"earshot/protocol/wire"
	"earshot/svc/engine"
)

// refusal is a reason for which a connection ends that its person is told.
// reason names it in logs and metrics.
type refusal struct {
	code     wire.Refused_Code
	reason   string
	sentence string
	retry    uint32 // seconds; 0 is when something has changed
}

func (r refusal) Error() string { return r.sentence }

func (r refusal) frame() []byte {
	return wire.Append(nil, &wire.ToClient{Body: &wire.ToClient_Refused{Refused: &wire.Refused{
		Code: r.code, Sentence: r.sentence, RetrySeconds: r.retry,
	}}})
}

var (
	errVersion = refusal{wire.Refused_CODE_VERSION, "version",
		"Your program and the coordinator speak different versions of the protocol. Update the older of the two.", 0}
	errMalformed = refusal{wire.Refused_CODE_MALFORMED, "malformed",
		"The coordinator can't make sense of what your program sends. Update the program, or report this as a mistake in it.", 0}
	errTaken = refusal{wire.Refused_CODE_NAME_TAKEN, "name taken",
		"This name belongs to somebody else. Choose another one; if it is yours, let one of your devices show you a code, or ask the administrator for an invitation.", 0}
	errOnline = refusal{wire.Refused_CODE_NAME_TAKEN, "name online",
		"Somebody is online under this name with a program that can't prove who it is. Choose another name, or have that program log out.", 30}
	errOther = refusal{wire.Refused_CODE_OTHER_ACCOUNT, "other account",
		"This device belongs to an account of another name. Log in under that name, or use another profile.", 0}
	errInviteNeeded = refusal{wire.Refused_CODE_INVITE_NEEDED, "invitation needed",
		"A new name needs an invitation here. Ask the coordinator's administrator for one.", 0}
	errInviteInvalid = refusal{wire.Refused_CODE_INVITE_INVALID, "invitation invalid",
		"This invitation has expired, has been used, or is for somebody else. Ask the coordinator's administrator for a new one.", 0}
	errPending = refusal{wire.Refused_CODE_AWAITING_APPROVAL, "awaiting approval",
		"The name is reserved for you, and an administrator has yet to approve it. Your program goes on trying.", 10}
	errRemoved = refusal{wire.Refused_CODE_DEVICE_REMOVED, "device removed",
		"This device has been removed from the account. Let another device of the account show you a code to join again.", 0}
	errJoin = refusal{wire.Refused_CODE_JOIN_FAILED, "join failed",
		"No device of the account confirmed the code. See that one of them is online and shows the code, and type it again.", 0}
	errJoinRate = refusal{wire.Refused_CODE_JOIN_FAILED, "join too often",
		"Too many codes have been tried for this account. Wait a minute, and try again.", 60}
	errDevices = refusal{wire.Refused_CODE_FULL, "too many devices",
		"The account has as many devices as it may have. Remove one that is no longer used, and try again.", 0}
	errFull = refusal{wire.Refused_CODE_FULL, "full",
		"Too many people are online. Try again later, or ask the coordinator's administrator to raise the limit.", 60}
	errAccounts = refusal{wire.Refused_CODE_FULL, "too many accounts",
		"The coordinator can't take more new names. Ask its administrator to make room.", 600}
	errFast = refusal{wire.Refused_CODE_TOO_FAST, "too fast",
		"Too many logins come from your address at once. Your program tries again in a few seconds.", 0}
	errReplaced = refusal{wire.Refused_CODE_REPLACED, "replaced",
		"This device has connected anew, and the coordinator serves the newer connection.", 0}
	errShutdown = refusal{wire.Refused_CODE_SHUTDOWN, "shutdown",
		"The coordinator is ending, perhaps to start anew. Your program tries again in a few seconds.", 0}
	errInternal = refusal{wire.Refused_CODE_INTERNAL, "internal",
		"The coordinator can't do this now, and has told its administrator why. Try again later.", 60}
)

// perSecond is how many may be told to come back within the same second. The
// client adds up to a quarter of its wait by itself.
const perSecond = 2000

// soon sets when to try again: after a second, or, where so many are told so,
// spread over as many as they need.
func (r refusal) soon(many int) refusal {
	r.retry = 1 + rand.Uint32N(uint32(1+many/perSecond))
	return r
}

// malformed is errMalformed with what is wrong.
func malformed(what string) refusal {
	r := errMalformed
	r.sentence = what
	return r
}

// explain says what a person is told of an error of Accounts. One that is the
// coordinator's own trouble is errInternal.
func explain(err error) refusal {
	for _, known := range []struct {
		is   error
		says refusal
	}{
		{engine.ErrTaken, errTaken},
		{engine.ErrOtherAccount, errOther},
		{engine.ErrInviteNeeded, errInviteNeeded},
		{engine.ErrInviteInvalid, errInviteInvalid},
		{engine.ErrPending, errPending},
		{engine.ErrRemoved, errRemoved},
		{engine.ErrTooManyDevices, errDevices},
		{engine.ErrFull, errAccounts},
		{engine.ErrUnknown, errJoin},
		{engine.ErrClosed, errShutdown.soon(1)},
		{classic.ErrName, refusal{wire.Refused_CODE_NAME_INVALID, "name", err.Error(), 0}},
	} {
		if errors.Is(err, known.is) {
			return known.says
		}
	}
	if r, ok := errors.AsType[refusal](err); ok {
		return r
	}
	return errInternal
}
