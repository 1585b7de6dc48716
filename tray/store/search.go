package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"earshot/protocol/classic"
	"earshot/tray/chat"
)

// indexed is how many characters a term must have to be in the index.
const indexed = 3

// Search returns the messages that q asks for, oldest first. Nothing is found
// that was taken back.
func (s *Store) Search(ctx context.Context, q chat.Query) ([]chat.Message, error) {
	from, where, args := "", "WHERE 1", []any{}
	var phrases []string
	terms := chat.Terms(q.Text)
	for _, term := range terms {
		if utf8.RuneCountInString(term) >= indexed {
			phrases = append(phrases, `"`+strings.ReplaceAll(term, `"`, `""`)+`"`)
			continue
		}
		var either []string
		for _, spelling := range spellings(term) {
			either, args = append(either, `m.text LIKE ? ESCAPE '\'`), append(args, "%"+spelling+"%")
		}
		where += " AND (" + strings.Join(either, " OR ") + ")"
	}
	order := "m.id"
	if len(phrases) > 0 {
		from, order = "JOIN messages_text ON messages_text.rowid = m.id ", "messages_text.rowid"
		where, args = where+" AND messages_text MATCH ?", append(args, strings.Join(phrases, " AND "))
	}
	if q.Peer != "" {
		where, args = where+" AND m.peer_key = ?", append(args, classic.NameKey(q.Peer))
	}
	if q.Before > 0 {
		where, args = where+" AND "+order+" < ?", append(args, q.Before)
	}
	if q.After != 0 {
		where, args = where+" AND "+order+" > ?", append(args, q.After)
	}
	if len(terms) > 0 {
		where += " AND m.deleted = 0"
	}
	forward := q.After != 0 && q.Before == 0
	if where += " ORDER BY " + order; !forward {
		where += " DESC"
	}
	rows, err := messages(ctx, s.reader, from+where+" LIMIT ?", append(args, q.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if !forward {
		slices.Reverse(rows)
	}
	list := make([]chat.Message, 0, len(rows))
	for _, r := range rows {
		list = append(list, r.Message)
	}
	return list, nil
}

// spellings are those of a short term that LIKE, which knows only ASCII's
// cases, tells apart.
func spellings(term string) []string {
	list := []string{""}
	for _, r := range term {
		cases := []rune{r}
		if r >= utf8.RuneSelf {
			for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
				cases = append(cases, next)
			}
		}
		var longer []string
		for _, begin := range list {
			for _, c := range cases {
				if c == '%' || c == '_' || c == '\\' {
					longer = append(longer, begin+`\`+string(c))
				} else {
					longer = append(longer, begin+string(c))
				}
			}
		}
		list = longer
	}
	return list
}
