package historypage

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"iter"
	"strings"

	"earshot/tray/chat"
)

// batch is how many messages are asked for at once.
const batch = 500

// Searcher finds messages; localapi.Engine is one.
type Searcher interface {
	Search(ctx context.Context, q chat.Query) ([]chat.Message, error)
}

// All yields what a query finds, oldest first, without ever holding more than a
// batch of it. It ends with the first error.
func All(ctx context.Context, from Searcher, q chat.Query) iter.Seq2[chat.Message, error] {
	return func(yield func(chat.Message, error) bool) {
		next := q
		next.Before, next.Limit = 0, batch
		next.After = cmp.Or(q.After, chat.Beginning)
		for {
			list, err := from.Search(ctx, next)
			if err != nil {
				yield(chat.Message{}, err)
				return
			}
			if len(list) == 0 {
				return
			}
			for _, m := range list {
				if !yield(m, nil) {
					return
				}
			}
			next.After = list[len(list)-1].ID
		}
	}
}

// Format is what an export is written as.
type Format string

// The formats that there are.
const (
	Text Format = "text"
	JSON Format = "json" // a list of chat.Message, one a line
)

// Export writes messages, as they come, and returns the first error.
func Export(w io.Writer, messages iter.Seq2[chat.Message, error], format Format) error {
	out := bufio.NewWriter(w)
	begin := "["
	for m, err := range messages {
		if err != nil {
			return err
		}
		if format == JSON {
			line, err := json.Marshal(m)
			if err != nil {
				return err
			}
			if _, err := out.WriteString(begin + "\n" + string(line)); err != nil {
				return err
			}
			begin = ","
			continue
		}
		if _, err := out.WriteString(line(m)); err != nil {
			return err
		}
	}
	if format == JSON {
		if begin == "[" {
			begin = "[]\n"
		} else {
			begin = "\n]\n"
		}
		if _, err := out.WriteString(begin); err != nil {
			return err
		}
	}
	return out.Flush()
}

// line is a message as text; its further lines stand under the first one.
func line(m chat.Message) string {
	who := m.Sender
	if m.State != chat.Received || m.Peer != m.Sender {
		who += " → " + strings.TrimPrefix(peerName(m.Peer), ",")
	}
	text := strings.NewReplacer("\r\n", "\n\t", "\n", "\n\t").Replace(m.Text)
	return m.At.Local().Format("2006-01-02 15:04:05 -0700") + "  " + who + ": " + text + "\n"
}

// peerName is an addressee as people write it; chat.Everyone is as it is.
func peerName(peer string) string {
	if department, ok := chat.DepartmentOf(peer); ok {
		return department
	}
	if names, ok := chat.SeveralOf(peer); ok {
		return strings.Join(names, ", ")
	}
	return peer
}
