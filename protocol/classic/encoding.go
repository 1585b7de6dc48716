package classic

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Encoding is how a program in the field turns text into bytes. A client's
// encoding is detected from its first datagram and kept for as long as it
// stays.
type Encoding uint8

const (
	// UTF16LE is .NET's Encoding.Unicode, without a byte order mark. It is the
	// zero value because it is what most programs speak, and what is spoken
	// first to one whose encoding is unknown.
	UTF16LE Encoding = iota
	// UTF8 is what ports to other languages send.
	UTF8
	// GB18030 is a superset of GBK, the default code page of a Chinese Windows.
	GB18030
)

var encodingNames = [...]string{UTF16LE: "utf-16le", UTF8: "utf-8", GB18030: "gb18030"}

// String returns the encoding's name as the speaks verb and the configuration
// spell it.
func (e Encoding) String() string {
	if int(e) < len(encodingNames) {
		return encodingNames[e]
	}
	return "unknown"
}

// ParseEncoding is the inverse of String.
func ParseEncoding(name string) (Encoding, bool) {
	for e, n := range encodingNames {
		if n == name {
			return Encoding(e), true
		}
	}
	return 0, false
}

// Detect tells the encoding of a datagram. Every message begins with an ASCII
// letter, which UTF-16LE follows with a zero byte; what is valid UTF-8 is
// taken for it (ASCII alone is the same bytes in GB18030 anyway); the rest is
// GB18030.
func Detect(datagram []byte) Encoding {
	switch {
	case len(datagram) >= 2 && datagram[1] == 0:
		return UTF16LE
	case utf8.Valid(datagram):
		return UTF8
	default:
		return GB18030
	}
}

// Append appends text in this encoding to dst. Invalid UTF-8 in text becomes
// U+FFFD, and so does what GB18030 can't be trusted with: some two thousand
// private use characters (U+E000 to U+E864).
func (e Encoding) Append(dst []byte, text string) []byte {
	switch e {
	case UTF16LE:
		for _, r := range text {
			if r1, r2 := utf16.EncodeRune(r); r1 != utf8.RuneError {
				dst = binary.LittleEndian.AppendUint16(dst, uint16(r1))
				dst = binary.LittleEndian.AppendUint16(dst, uint16(r2))
				continue
			}
			dst = binary.LittleEndian.AppendUint16(dst, uint16(r))
		}
		return dst
	case GB18030:
		// The encoder can fail only on invalid UTF-8: GB18030 covers Unicode.
		b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(strings.Map(gb18030Rune, toValid(text))))
		if err == nil {
			return append(dst, b...)
		}
	}
	return append(dst, toValid(text)...)
}

// Decode returns the text of a datagram. Lone surrogates and byte sequences
// that stand for nothing become U+FFFD, as they do in the programs in the
// field; an odd number of bytes in UTF-16LE is ErrEncoding.
func (e Encoding) Decode(datagram []byte) (string, error) {
	switch e {
	case UTF16LE:
		if len(datagram)%2 != 0 {
			return "", ErrEncoding
		}
		units := make([]uint16, len(datagram)/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(datagram[2*i:])
		}
		return string(utf16.Decode(units)), nil
	case UTF8:
		if !utf8.Valid(datagram) {
			return "", ErrEncoding
		}
		return string(datagram), nil
	case GB18030:
		b, err := simplifiedchinese.GB18030.NewDecoder().Bytes(datagram)
		if err != nil {
			return "", ErrEncoding
		}
		return string(b), nil
	}
	return "", ErrEncoding
}

func toValid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// gb18030Rune replaces the private use characters of GB18030's double-byte
// zones, which the encoder counts among the four-byte ones, where they come out
// as others.
func gb18030Rune(r rune) rune {
	if r < 0xe000 || r > 0xe864 {
		return r
	}
	b, err := simplifiedchinese.GB18030.NewEncoder().String(string(r))
	if err == nil {
		b, err = simplifiedchinese.GB18030.NewDecoder().String(b)
	}
	if err != nil || b != string(r) {
		return utf8.RuneError
	}
	return r
}
