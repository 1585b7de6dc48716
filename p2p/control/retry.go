package control

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"earshot/p2p"
	"earshot/protocol/wire"
)

const (
	// Retries are jittered: a wait is between half of its length and all of it.
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// movedWait bounds the wait of who finds its own network changed: nobody
	// else comes back at the same time.
	movedWait = 50 * time.Millisecond
	// heldLongEnough is how long a login must have held for the next failure to
	// count as the first. Below that a coordinator that lets everybody in and
	// then falls over would be run down by those who come back.
	heldLongEnough = 10 * time.Second
	// A refusal that only a person can do something about is looked at again
	// from time to time: the person may have done it elsewhere.
	approvalRetry = 10 * time.Second
	personRetry   = time.Minute
)

// backoff says when to try again. It is pure but for its dice.
type backoff struct{ next time.Duration }

// reset makes the next failure the first.
func (b *backoff) reset() { b.next = 0 }

// wait returns how long to wait after an attempt that failed, or after a login
// that held for some time.
func (b *backoff) wait(cause error, held time.Duration) time.Duration {
	if held >= heldLongEnough {
		b.reset()
		if errors.Is(cause, errMoved) {
			return rand.N(movedWait)
		}
	}
	b.next = min(max(2*b.next, firstBackoff), lastBackoff)
	wait := b.next/2 + rand.N(b.next/2)
	refused, ok := errors.AsType[*RefusedError](cause)
	if !ok {
		return wait
	}
	switch refused.Code {
	case wire.Refused_CODE_AWAITING_APPROVAL:
		wait = approvalRetry
	case wire.Refused_CODE_REPLACED:
		// Another program runs with this device's key. Coming back at once
		// would throw it out, and it would do the same.
		wait = lastBackoff/2 + rand.N(lastBackoff/2)
	case wire.Refused_CODE_NAME_TAKEN, wire.Refused_CODE_NAME_INVALID, wire.Refused_CODE_OTHER_ACCOUNT,
		wire.Refused_CODE_INVITE_NEEDED, wire.Refused_CODE_INVITE_INVALID, wire.Refused_CODE_DEVICE_REMOVED,
		wire.Refused_CODE_JOIN_FAILED, wire.Refused_CODE_VERSION:
		wait = personRetry
	}
	if asked := min(refused.Retry, time.Hour); asked > 0 {
		// Everyone was told the same: they must not all come at once.
		wait = asked + rand.N(asked/4+time.Millisecond)
	}
	return wait
}

// RefusedError is a coordinator's Refused. It belongs to p2p.ErrRefused.
type RefusedError struct {
	Code     wire.Refused_Code
	Sentence string
	// Retry is when the coordinator wants to be asked again; zero if it
	// doesn't say.
	Retry time.Duration
}

// Error is the coordinator's sentence.
func (e *RefusedError) Error() string { return e.Sentence }

// Reason implements p2p.Refusal.
func (e *RefusedError) Reason() string { return strings.TrimPrefix(e.Code.String(), "CODE_") }

func (e *RefusedError) Unwrap() error { return p2p.ErrRefused }

func refusedError(r *wire.Refused) error {
	sentence := r.GetSentence()
	if sentence == "" || len(sentence) > maxSentence {
		sentence = fmt.Sprintf("The coordinator refuses the login (%d).", r.GetCode())
	}
	return &RefusedError{r.GetCode(), sentence, time.Duration(r.GetRetrySeconds()) * time.Second}
}

const maxSentence = 2048
