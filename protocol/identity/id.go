package identity

import (
	"encoding/base32"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ID is the SHA-256 of a public key's SubjectPublicKeyInfo (RFC 5280, 4.1). For
// a device's key it is the device ID, for a coordinator's the fingerprint.
//
// It is spelled in base32 (RFC 4648), 52 characters in eight groups, each with
// a check character behind it: what one misreads or mistypes is found, and in
// which group. The groups have 7 or 8 characters with it.
type ID [32]byte

// ErrID is a spelling that is none, or holds a mistake.
var ErrID = fmt.Errorf("%w: this is not an ID", ErrIdentity)

const (
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	idChars  = 52
	idGroups = 8
)

var base = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// String spells the ID, such as "K7QX2MFB-…".
func (id ID) String() string {
	plain := base.EncodeToString(id[:])
	var out strings.Builder
	for i := range idGroups {
		from, to := groupBounds(i)
		if i > 0 {
			out.WriteByte('-')
		}
		out.WriteString(plain[from:to])
		out.WriteByte(check(plain[from:to]))
	}
	return out.String()
}

// Short is the first two groups of the spelling, for where an ID only tells a
// few apart. It proves nothing.
func (id ID) Short() string {
	_, to := groupBounds(1)
	return id.String()[:to+3]
}

// ParseID reads a spelling: in either case, with or without the dashes, with
// white space and dashes of any kind anywhere, and with 0, 1 and 8 for the
// letters that they look like.
func ParseID(text string) (ID, error) {
	plain := canonical(text)
	if i := strings.IndexFunc(plain, func(r rune) bool { return !strings.ContainsRune(alphabet, r) }); i >= 0 {
		r, _ := utf8.DecodeRuneInString(plain[i:])
		return ID{}, fmt.Errorf("%w: no ID has the character %q", ErrID, r)
	}
	if len(plain) != idChars+idGroups {
		return ID{}, fmt.Errorf("%w: it has %d characters, not %d", ErrID, len(plain), idChars+idGroups)
	}
	var joined strings.Builder
	for i := range idGroups {
		from, to := groupBounds(i)
		group := plain[from+i : to+i]
		if check(group) != plain[to+i] {
			return ID{}, fmt.Errorf("%w: there is a mistake in its group %d, %s", ErrID, i+1, plain[from+i:to+i+1])
		}
		joined.WriteString(group)
	}
	b, err := base.DecodeString(joined.String())
	// The last character has bits that must be zero, which the decoder doesn't mind.
	if err != nil || len(b) != len(ID{}) || base.EncodeToString(b) != joined.String() {
		return ID{}, fmt.Errorf("%w: there is a mistake in its group %d", ErrID, idGroups)
	}
	return ID(b), nil
}

// groupBounds are those of a group in the spelling without checks: the first
// four groups have 7 characters, the others 6.
func groupBounds(i int) (from, to int) {
	from = i*6 + min(i, 4)
	to = from + 6
	if i < 4 {
		to++
	}
	return from, to
}

// canonical drops what is only there for the eye.
func canonical(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Dash, r) {
			return -1
		}
		switch r {
		case '0':
			return 'O'
		case '1':
			return 'I'
		case '8':
			return 'B'
		}
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, text)
}

// check is the check character of a group (Luhn's algorithm modulo 32): it
// finds every single mistake, and all but one swap of neighbours.
func check(group string) byte {
	const n = len(alphabet)
	factor, sum := 2, 0
	for i := len(group) - 1; i >= 0; i-- {
		addend := factor * strings.IndexByte(alphabet, group[i])
		sum += addend/n + addend%n
		factor = 3 - factor
	}
	return alphabet[(n-sum%n)%n]
}
