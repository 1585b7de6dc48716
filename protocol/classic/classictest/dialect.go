package classictest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// Dialect is how a program puts text on the wire.
type Dialect int

const (
	// DotNet is UTF-16LE datagrams, and a length-prefixed list in UTF-8.
	DotNet Dialect = iota
	// UTF8Port is a port to another language: UTF-8, and a list without frame.
	UTF8Port
	// GBPort is such a port on a Chinese Windows: GB18030.
	GBPort
)

// Dialects are all of them.
var Dialects = []Dialect{DotNet, UTF8Port, GBPort}

func (d Dialect) String() string { return [...]string{"dotnet", "utf8", "gb18030"}[d] }

func (d Dialect) codec() encoding.Encoding {
	return [...]encoding.Encoding{
		unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
		unicode.UTF8,
		simplifiedchinese.GB18030,
	}[d]
}

// Encode returns the bytes of text.
func (d Dialect) Encode(text string) []byte {
	b, err := d.codec().NewEncoder().Bytes([]byte(text))
	if err != nil {
		panic(fmt.Sprintf("classictest: %q in %v: %v", text, d, err))
	}
	return b
}

// Decode returns the text of a datagram, or an error of ErrDied where it is
// visibly in another encoding.
func (d Dialect) Decode(b []byte) (string, error) {
	wide := len(b) > 1 && b[1] == 0
	if d == DotNet && (len(b)%2 != 0 || len(b) > 0 && !wide) || d != DotNet && wide {
		return "", fmt.Errorf("%w: a %v program got % x", ErrDied, d, b)
	}
	text, err := d.codec().NewDecoder().Bytes(b)
	if err != nil || d != DotNet && bytes.ContainsRune(text, utf8.RuneError) {
		return "", fmt.Errorf("%w: a %v program got % x", ErrDied, d, b)
	}
	return string(text), nil
}

// readList reads a list to its end and leaves the connection open.
func (d Dialect) readList(r io.Reader) ([]User, error) {
	if d == DotNet {
		return readDotNetList(r)
	}
	var all []byte
	buf := make([]byte, 512)
	for {
		n, err := r.Read(buf)
		all = append(all, buf[:n]...)
		if text, decodeErr := d.codec().NewDecoder().String(string(all)); decodeErr == nil &&
			(text == "end" || strings.HasSuffix(text, ";end")) {
			return parseList(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: the list ended before its end, with %q: %w", ErrDied, all, err)
		}
	}
}

// readDotNetList is BinaryReader.ReadString.
func readDotNetList(r io.Reader) ([]User, error) {
	size := 0
	for shift := 0; ; shift += 7 {
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, fmt.Errorf("%w: no length before the list: %w", ErrDied, err)
		}
		if shift > 28 {
			return nil, fmt.Errorf("%w: Bad7BitInt32", ErrDied)
		}
		size += int(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			break
		}
	}
	text := make([]byte, size)
	if n, err := io.ReadFull(r, text); err != nil {
		return nil, fmt.Errorf("%w: the list has %d bytes, %d were announced: %w", ErrDied, n, size, err)
	}
	return parseList(string(text))
}

func appendDotNetString(b []byte, s string) []byte {
	for n := len(s); ; n >>= 7 {
		if n < 0x80 {
			b = append(b, byte(n))
			return append(b, s...)
		}
		b = append(b, byte(n)|0x80)
	}
}

// parseList walks the list up to the entry "end".
func parseList(text string) ([]User, error) {
	var users []User
	for entry := range strings.SplitSeq(text, ";") {
		if entry == "end" {
			return users, nil
		}
		user, err := parseUser(strings.Split(entry, ","))
		if err != nil {
			return nil, err
		}
		users = append(users, user)
	}
	return nil, fmt.Errorf("%w: the list %q has no end", ErrDied, text)
}

func formatList(users []User) string {
	var b strings.Builder
	for _, u := range users {
		fmt.Fprintf(&b, "%s,%s;", u.Name, u.Endpoint)
	}
	b.WriteString("end")
	return b.String()
}
