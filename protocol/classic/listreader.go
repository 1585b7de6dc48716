package classic

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// ParseList looks at the bytes of a list connection received so far and
// returns the list once it is whole. Both framings are understood, because a
// program's framing doesn't always follow from its encoding; expect settles
// what could be either. last says that nothing more is to come: the connection
// was closed, or has been quiet for a while.
//
// done is false while more bytes are needed. With last set, what is not whole
// is ErrList. On RawText the text ";end" may also be the beginning of a user's
// name, so a caller whose connection stays open goes on reading and parses
// again if more arrives.
func ParseList(b []byte, expect Framing, last bool) (entries []Entry, done bool, err error) {
	if len(b) > MaxList {
		return nil, false, ErrTooLarge
	}
	dotNet, exact, dotNetErr := parseDotNet(b)
	raw, rawErr := parseRaw(b)
	// A length of one byte in front of a name makes another name, and then the
	// list reads as either; a name that nobody can have was a length. A longer
	// one is not UTF-8, and hardly ever by chance the length of a GB18030 list.
	framed := exact && (b[0] >= 0x80 || len(raw) == 0 || ValidateName(raw[0].Name) != nil)
	switch {
	case dotNetErr == nil && (expect == DotNet || framed):
		return dotNet, true, nil
	case rawErr == nil && (expect == RawText || last):
		return raw, true, nil
	case dotNetErr == nil && last:
		return dotNet, true, nil
	case last:
		return nil, false, ErrList
	}
	return nil, false, nil
}

// parseDotNet says also whether the list is all there is.
func parseDotNet(b []byte) (entries []Entry, exact bool, err error) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > MaxList || uint64(len(b)-k) < n {
		return nil, false, ErrList
	}
	text := b[k : k+int(n)]
	if !bytes.HasSuffix(bytes.TrimRight(text, listTail), []byte(listEnd)) || !utf8.Valid(text) {
		return nil, false, ErrList
	}
	entries, err = ParseListText(string(text))
	return entries, len(b) == k+int(n), err
}

// parseRaw takes the encoding from the end of the list, since a list may begin
// with any character.
func parseRaw(b []byte) ([]Entry, error) {
	tail := bytes.TrimRight(b, listTail)
	e := UTF16LE
	switch {
	case len(b)%2 == 0 && bytes.HasSuffix(tail, []byte("e\x00n\x00d")):
	case bytes.HasSuffix(tail, []byte(listEnd)):
		if e = UTF8; !utf8.Valid(b) {
			e = GB18030
		}
	default:
		return nil, ErrList // without the cost of decoding it, since it may be long and still growing
	}
	text, err := e.Decode(b)
	if err != nil {
		return nil, err
	}
	return ParseListText(text)
}
