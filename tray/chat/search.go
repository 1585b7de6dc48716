package chat

import (
	"strings"
	"time"
	"unicode"
)

// Query asks for messages. Those that it finds come oldest first.
type Query struct {
	// Text is what they contain: each of its words, or what stands between
	// quotation marks, wherever and in whichever case; empty for all.
	Text string `json:"text,omitempty"`
	// Peer is whose conversation it is in; empty for all.
	Peer string `json:"peer,omitempty"`
	// Before and After are IDs: only older, or only newer ones are meant; 0 for
	// no such limit. Beginning as After is before the first message of all.
	Before int64 `json:"before,omitempty"`
	After  int64 `json:"after,omitempty"`
	// Limit is how many there are at most: the oldest of them if After is set
	// and Before isn't, else the newest.
	Limit int `json:"limit,omitempty"`
}

// Beginning is an ID that every message comes after.
const Beginning = -1

// Erasure is what is to be deleted on this computer, and stays at others: the
// message ID, else the conversation with Peer, else, if All is set, everything.
type Erasure struct {
	ID   int64  `json:"id,omitempty"`
	Peer string `json:"peer,omitempty"`
	All  bool   `json:"all,omitempty"`
}

// Erased is what came of an Erasure.
type Erased struct {
	Count int `json:"count"`
	// Kept is how many are still on their way, which are not deleted.
	Kept int `json:"kept,omitempty"`
}

// Conversation is one peer's messages in short.
type Conversation struct {
	// Peer is a name, Everyone, a department or several people.
	Peer   string    `json:"peer"`
	Unread int       `json:"unread,omitempty"`
	Last   time.Time `json:"last"` // when the newest message was exchanged
}

// Terms are the parts of a Query's Text that are looked for.
func Terms(text string) []string {
	var terms []string
	for i, part := range strings.Split(strings.NewReplacer("“", `"`, "”", `"`).Replace(text), `"`) {
		if i%2 == 0 {
			terms = append(terms, strings.Fields(part)...)
		} else if strings.TrimSpace(part) != "" {
			terms = append(terms, part)
		}
	}
	return terms
}

// Mark is a part of a text, and whether it is one that was looked for.
type Mark struct {
	Text  string
	Found bool
}

// Marks splits a text so that what was looked for stands apart.
func Marks(text string, terms []string) []Mark {
	runes := []rune(text)
	folded, found := fold(runes), make([]bool, len(runes))
	for _, term := range terms {
		sought := fold([]rune(term))
		if len(sought) == 0 {
			continue
		}
		for i := 0; i+len(sought) <= len(folded); i++ {
			if string(folded[i:i+len(sought)]) != string(sought) {
				continue
			}
			for k := range sought {
				found[i+k] = true
			}
		}
	}
	var marks []Mark
	for i, from := 1, 0; i <= len(runes); i++ {
		if i == len(runes) || found[i] != found[from] {
			marks, from = append(marks, Mark{string(runes[from:i]), found[from]}), i
		}
	}
	return marks
}

// fold is a text without the difference of cases, rune by rune.
func fold(runes []rune) []rune {
	folded := make([]rune, len(runes))
	for i, r := range runes {
		folded[i] = unicode.ToLower(r)
	}
	return folded
}

// Excerpt is a text of at most limit characters round the first of what was
// looked for.
func Excerpt(text string, terms []string, limit int) []Mark {
	runes := []rune(text)
	if len(runes) <= limit {
		return Marks(text, terms)
	}
	from := 0 // where the first of what was looked for is
	if marks := Marks(text, terms); !marks[0].Found && len(marks) > 1 {
		from = len([]rune(marks[0].Text))
	}
	from = min(max(0, from-limit/3), len(runes)-limit)
	cut := string(runes[from : from+limit])
	if from > 0 {
		cut = "…" + cut
	}
	if from+limit < len(runes) {
		cut += "…"
	}
	return Marks(cut, terms)
}
