package localapi

// Codes tell a program what kind of error a sentence is about.
const (
	CodeBadRequest    = "bad_request"
	CodeUnknownPerson = "unknown_person"
	CodeEnded         = "ended"
	CodeFailed        = "failed"
)

// Error is an error of the engine, which travels through the API as it is.
type Error struct {
	Code     string `json:"code"`
	Sentence string `json:"error"`
}

// Error is a sentence in the person's language.
func (e *Error) Error() string { return e.Sentence }

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
