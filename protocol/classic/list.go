package classic

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// Framing is how the list of users is put on its TCP connection. Either way
// the text is `name,IP:port;name,IP:port;…;end`.
type Framing uint8

const (
	// RawText is the text alone, in the encoding of the client. It ends with
	// its last entry, `end`, not with the connection.
	RawText Framing = iota
	// DotNet is .NET's BinaryWriter.Write(string): the number of bytes as an
	// unsigned varint (seven bits a byte, low bits first, the high bit says
	// that more follow), then the text in UTF-8. The server closes behind it.
	DotNet
)

// MaxList is the largest list that is read, in bytes.
const MaxList = 4 << 20

const (
	listEnd  = "end"
	listTail = "\x00\r\n\t " // what some programs send behind a message or list
)

// Entry is one user on the list.
type Entry struct {
	Name     string
	Endpoint netip.AddrPort
}

// FramingFor returns the framing that a client expects which speaks e.
func FramingFor(e Encoding) Framing {
	if e == UTF16LE {
		return DotNet
	}
	return RawText
}

// AppendList appends the list to dst, framed for a client that speaks e.
func AppendList(dst []byte, framing Framing, e Encoding, entries []Entry) []byte {
	var text strings.Builder
	for _, entry := range entries {
		text.WriteString(entry.Name)
		text.WriteByte(',')
		text.WriteString(entry.Endpoint.String())
		text.WriteByte(';')
	}
	text.WriteString(listEnd)
	if framing == DotNet {
		valid := toValid(text.String())
		dst = binary.AppendUvarint(dst, uint64(len(valid)))
		return append(dst, valid...)
	}
	return e.Append(dst, text.String())
}

// ParseListText reads the text of a whole list, `end` included.
func ParseListText(text string) ([]Entry, error) {
	body, ok := strings.CutSuffix(trimTail(text), listEnd)
	if !ok || body != "" && !strings.HasSuffix(body, ";") {
		return nil, ErrList
	}
	var entries []Entry
	for part := range strings.SplitSeq(strings.TrimSuffix(body, ";"), ";") {
		if part == "" && body == "" {
			break
		}
		name, where, ok := strings.Cut(part, ",")
		if !ok || name == "" {
			return nil, ErrList
		}
		endpoint, err := ParseEndpoint(where)
		if err != nil {
			return nil, ErrList
		}
		entries = append(entries, Entry{name, endpoint})
	}
	return entries, nil
}
