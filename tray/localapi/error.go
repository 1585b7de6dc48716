package localapi

import "earshot/protocol/hostnet/localhttp"

// Codes tell a program what kind of error a sentence is about.
const (
	CodeBadRequest    = localhttp.CodeBadRequest
	CodeUnknownPerson = "unknown_person"
	CodeLocked        = "locked"
	CodeEnded         = "ended"
	CodeFailed        = localhttp.CodeFailed
)

// Error is an error of the engine, which travels through the API as it is. Its
// text is a sentence in the person's language.
type Error = localhttp.Error

// sentence is an error whose text is for a person.
type sentence string

func (s sentence) Error() string { return string(s) }

const (
	// ErrNotRunning is a profile in which no client runs.
	ErrNotRunning = sentence("Earshot is not running. Start it first.")
	// ErrLost is a connection that broke because the client was killed or has
	// crashed.
	ErrLost = sentence("Earshot has stopped unexpectedly. Start it again.")
)
