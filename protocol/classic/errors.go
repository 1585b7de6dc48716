package classic

import (
	"errors"
	"fmt"
)

// ErrMalformed is the family of everything that a peer may send and that is
// not a message: errors.Is(err, ErrMalformed) holds for all of them.
var ErrMalformed = errors.New("malformed classic message")

var (
	// ErrUnknownVerb is a message whose first field names no verb of this
	// package. Receivers ignore it silently.
	ErrUnknownVerb = fmt.Errorf("%w: unknown verb", ErrMalformed)
	// ErrFieldCount is a message with too few or too many fields.
	ErrFieldCount = fmt.Errorf("%w: wrong number of fields", ErrMalformed)
	// ErrEndpoint is a field that should be IP:port and is not.
	ErrEndpoint = fmt.Errorf("%w: not an IP:port", ErrMalformed)
	// ErrPort is a field that should be a port from 1 to 65535 and is not.
	ErrPort = fmt.Errorf("%w: not a port", ErrMalformed)
	// ErrEncoding is a datagram that is in none of the encodings.
	ErrEncoding = fmt.Errorf("%w: not in any known encoding", ErrMalformed)
	// ErrList is a list of users that does not read as one.
	ErrList = fmt.Errorf("%w: not a list of users", ErrMalformed)
	// ErrTooLarge is a datagram or list above its limit.
	ErrTooLarge = fmt.Errorf("%w: too large", ErrMalformed)
)

// ErrName is the family of reasons for which a name is not fit for a roster.
// The text of each is a sentence for the person who chose the name.
var ErrName = errors.New("this name can't be used")

var (
	// ErrNameEmpty is a name without a visible character.
	ErrNameEmpty = nameError{"The name is empty. Choose a name of 1 to 64 characters."}
	// ErrNameLong is a name of more than MaxNameRunes characters.
	ErrNameLong = nameError{"The name is too long. Choose a name of 1 to 64 characters."}
	// ErrNameComma is a name that would break every list it stands on.
	ErrNameComma = nameError{"A name can't hold a comma or a semicolon. Choose another one."}
	// ErrNameControl is a name with control or unreadable characters, or with
	// white space at its ends.
	ErrNameControl = nameError{"The name holds characters that can't be shown, or begins or ends with a space. Choose another one."}
)

// nameError is a sentence for a person and a member of the ErrName family.
type nameError struct{ sentence string }

func (e nameError) Error() string { return e.sentence }
func (e nameError) Unwrap() error { return ErrName }
