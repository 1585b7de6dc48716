package classic

import "encoding/binary"

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
	readers := []func([]byte) ([]Entry, error){parseRaw}
	switch {
	case expect == DotNet && last:
		readers = append([]func([]byte) ([]Entry, error){parseDotNet}, readers...)
	case expect == DotNet:
		readers[0] = parseDotNet
	case last:
		readers = append(readers, parseDotNet)
	}
	for _, read := range readers {
		if entries, err := read(b); err == nil {
			return entries, true, nil
		}
	}
	if last {
		return nil, false, ErrList
	}
	return nil, false, nil
}

func parseDotNet(b []byte) ([]Entry, error) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > MaxList || uint64(len(b)-k) < n {
		return nil, ErrList
	}
	text, err := UTF8.Decode(b[k : k+int(n)])
	if err != nil {
		return nil, err
	}
	return ParseListText(text)
}

func parseRaw(b []byte) ([]Entry, error) {
	text, err := Detect(b).Decode(b)
	if err != nil {
		return nil, err
	}
	return ParseListText(text)
}
