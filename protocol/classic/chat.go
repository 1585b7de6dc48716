package classic

import (
	"strings"

	"github.com/rivo/uniseg"
)

// MaxChatDatagram is the largest chat datagram that we send, in bytes: it fits
// one packet on every path in use, because fragments are what firewalls drop.
const MaxChatDatagram = 1200

// fullwidthComma reads like an ASCII comma and survives receivers that split
// the whole datagram at every one of those.
const fullwidthComma = "，"

// ResolveSender mends a chat whose time holds commas, as a long date does in
// many locales ("Monday, November 23, 2026"): the sender is the first field
// that known accepts. A chat whose sender is known already, or in which nobody
// is, comes back as it was.
func (m Talk) ResolveSender(known func(name string) bool) Talk {
	if known(m.Sender) {
		return m
	}
	fields := strings.Split(m.Text, ",")
	time := m.Time + "," + m.Sender
	for i := 0; i+1 < len(fields); i++ {
		if known(fields[i]) {
			return Talk{Time: time, Sender: fields[i], Text: strings.Join(fields[i+1:], ",")}
		}
		time += "," + fields[i]
	}
	return m
}

// SplitTalk returns the chat messages that carry text from sender, each of at
// most MaxChatDatagram bytes in encoding e, cut between what a reader sees as
// characters (grapheme clusters, UAX #29), never inside one unless it alone is
// too large. ASCII commas become fullwidth ones. Empty text gives one message.
// The limit holds for a sender that ValidateName accepts and a time of at most
// 100 characters; every message carries something of the text in any case.
func SplitTalk(time, sender, text string, e Encoding) []Talk {
	text = strings.ReplaceAll(toValid(text), ",", fullwidthComma)
	room := MaxChatDatagram - len(e.Append(nil, Talk{Time: time, Sender: sender}.String()))
	var talks []Talk
	var piece strings.Builder
	size := 0
	flush := func() {
		talks = append(talks, Talk{Time: time, Sender: sender, Text: piece.String()})
		piece.Reset()
		size = 0
	}
	add := func(s string) {
		n := len(e.Append(nil, s))
		if size > 0 && size+n > room {
			flush()
		}
		piece.WriteString(s)
		size += n
	}
	state := -1
	for text != "" {
		var cluster string
		cluster, text, _, state = uniseg.FirstGraphemeClusterInString(text, state)
		if len(e.Append(nil, cluster)) <= room {
			add(cluster)
			continue
		}
		for _, r := range cluster {
			add(string(r))
		}
	}
	if size > 0 || len(talks) == 0 {
		flush()
	}
	return talks
}
