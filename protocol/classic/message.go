package classic

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxDatagram is the largest datagram that is read, in bytes: the largest UDP
// payload over IPv4.
const MaxDatagram = 65507

// Message is one datagram's content. String is its text on the wire, before
// the encoding: Parse(m.String()) is m for every m whose fields are valid.
type Message interface{ String() string }

// Login says that Name came online and listens for datagrams at Endpoint. The
// zero Endpoint is not valid.
type Login struct {
	Name     string
	Endpoint netip.AddrPort
}

// Logout says that Name, who listened at Endpoint, leaves.
type Logout struct {
	Name     string
	Endpoint netip.AddrPort
}

// Accept tells a client to fetch the list by TCP from this port of the host
// that the datagram came from.
type Accept struct{ Port uint16 }

// Refused tells a client of ours that it may not come in. Reason is a sentence.
type Refused struct{ Reason string }

// Talk is a chat message. Time is a display string of the sender's locale and
// means nothing to a program.
type Talk struct{ Time, Sender, Text string }

// Group is a chat message to everyone, sent to the coordinator, which forwards
// it unchanged.
type Group struct{ Time, Sender, Text string }

// Why asks the coordinator why a login under Name from Endpoint goes
// unanswered.
type Why struct {
	Name     string
	Endpoint netip.AddrPort
}

// Alive is the coordinator's liveness probe to the user Name at Endpoint, and
// that user's echo of it.
type Alive struct {
	Name     string
	Endpoint netip.AddrPort
}

// SpeaksQuery asks which encoding the user Name at Endpoint speaks.
type SpeaksQuery struct {
	Name     string
	Endpoint netip.AddrPort
}

// Speaks answers a SpeaksQuery.
type Speaks struct {
	Name     string
	Encoding Encoding
}

func (m Login) String() string       { return person("login", m.Name, m.Endpoint) }
func (m Logout) String() string      { return person("logout", m.Name, m.Endpoint) }
func (m Accept) String() string      { return "Accept," + strconv.Itoa(int(m.Port)) }
func (m Refused) String() string     { return "Refused," + m.Reason }
func (m Talk) String() string        { return "talk," + m.Time + "," + m.Sender + "," + m.Text }
func (m Group) String() string       { return "qunliao," + m.Time + "," + m.Sender + "," + m.Text }
func (m Why) String() string         { return person("why", m.Name, m.Endpoint) }
func (m Alive) String() string       { return person("alive", m.Name, m.Endpoint) }
func (m SpeaksQuery) String() string { return person("speaks", m.Name, m.Endpoint) }
func (m Speaks) String() string      { return "speaks," + m.Name + "," + m.Encoding.String() }

func person(verb, name string, endpoint netip.AddrPort) string {
	return verb + "," + name + "," + endpoint.String()
}

// ParseDatagram detects the encoding of a datagram and parses its text. The
// encoding is meaningful whenever the text could be decoded, even if it is not
// a message.
func ParseDatagram(datagram []byte) (Message, Encoding, error) {
	if len(datagram) > MaxDatagram {
		return nil, 0, ErrTooLarge
	}
	e := Detect(datagram)
	text, err := e.Decode(datagram)
	if err != nil {
		return nil, e, err
	}
	m, err := Parse(text)
	return m, e, err
}

// ParseDatagramAs is ParseDatagram for the datagram of a sender who is known to
// speak e: what could be UTF-8 as well as GB18030, as short Chinese texts in
// GB18030 often could, is read as e. Evidently other encodings are read as such.
func ParseDatagramAs(e Encoding, datagram []byte) (Message, Encoding, error) {
	if e == GB18030 && len(datagram) <= MaxDatagram && Detect(datagram) == UTF8 {
		text, err := e.Decode(datagram)
		if err == nil && !strings.ContainsRune(text, utf8.RuneError) {
			m, err := Parse(text)
			return m, e, err
		}
	}
	return ParseDatagram(datagram)
}

// Parse reads one message. It checks the number of fields, endpoints and
// ports, and leaves names to ValidateName, so that whoever sends a bad name
// can be told why. White space, line ends and zeros behind a message that is
// not a chat are ignored: some programs send their whole buffer.
func Parse(text string) (Message, error) {
	verb, rest, ok := strings.Cut(text, ",")
	if !ok {
		return nil, ErrUnknownVerb
	}
	switch verb {
	case "talk", "qunliao":
		return parseChat(verb, rest)
	case "Refused":
		return Refused{Reason: trimTail(rest)}, nil
	case "Accept":
		port, err := strconv.ParseUint(trimTail(rest), 10, 16)
		if err != nil || port == 0 {
			return nil, ErrPort
		}
		return Accept{Port: uint16(port)}, nil
	case "login", "logout", "why", "alive", "speaks":
		return parsePerson(verb, trimTail(rest))
	}
	return nil, ErrUnknownVerb
}

func parseChat(verb, rest string) (Message, error) {
	fields := strings.SplitN(rest, ",", 3)
	if len(fields) != 3 {
		return nil, ErrFieldCount
	}
	if verb == "talk" {
		return Talk{Time: fields[0], Sender: fields[1], Text: fields[2]}, nil
	}
	return Group{Time: fields[0], Sender: fields[1], Text: fields[2]}, nil
}

func parsePerson(verb, rest string) (Message, error) {
	name, where, ok := strings.Cut(rest, ",")
	if !ok || strings.Contains(where, ",") {
		return nil, ErrFieldCount
	}
	if verb == "speaks" {
		if e, ok := ParseEncoding(where); ok {
			return Speaks{Name: name, Encoding: e}, nil
		}
	}
	endpoint, err := ParseEndpoint(where)
	if err != nil {
		return nil, err
	}
	switch verb {
	case "login":
		return Login{name, endpoint}, nil
	case "logout":
		return Logout{name, endpoint}, nil
	case "why":
		return Why{name, endpoint}, nil
	case "alive":
		return Alive{name, endpoint}, nil
	default:
		return SpeaksQuery{name, endpoint}, nil
	}
}

// ParseEndpoint reads IP:port, as .NET's IPEndPoint.ToString writes it: IPv6
// in brackets. An IPv4 address mapped into IPv6 becomes the IPv4 address. Port 0
// is an error, and so is a zone, which means nothing on another host and may
// hold characters that break lists.
func ParseEndpoint(s string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 || ap.Addr().Zone() != "" {
		return netip.AddrPort{}, ErrEndpoint
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

func trimTail(s string) string { return strings.TrimRight(s, listTail) }
