package notify

import (
	"context"
	"log/slog"
	"strings"

	"earshot/tray/chat"
	"earshot/tray/localapi"
)

// reaction is what a person does about a note.
type reaction uint8

const (
	openIt  reaction = iota // the conversation
	readIt                  // say that the messages have been seen
	replyTo                 // with a text that was written into the note
)

// answer is a reaction to a note about peer.
type answer struct {
	reaction reaction
	peer     string
	text     string
}

// carryOut does what the person wants. A reply that can't be sent is in the
// conversation's entry, with the reason beside it.
func (a answer) carryOut(ctx context.Context, engine localapi.Engine, log *slog.Logger) {
	text := strings.TrimSpace(a.text)
	switch {
	case a.reaction == readIt:
		a.markRead(ctx, engine, log)
		return
	case a.reaction == replyTo && text != "":
		_, err := engine.Send(ctx, chat.Draft{To: a.peer, Text: text}, false)
		if err == nil {
			a.markRead(ctx, engine, log)
			return
		}
		log.Error("a reply was not sent", "error", err)
		if before, err := engine.Draft(ctx, a.peer); err == nil && before.Text != "" {
			text = before.Text + "\n" + text
		}
		if err := engine.KeepDraft(ctx, chat.Draft{To: a.peer, Text: text}); err != nil {
			log.Error("nor was it kept", "error", err)
		}
	}
	if err := engine.Compose(ctx, a.peer); err != nil {
		log.Error("the popup did not open", "error", err)
	}
}

func (a answer) markRead(ctx context.Context, engine localapi.Engine, log *slog.Logger) {
	if err := engine.MarkRead(ctx, a.peer); err != nil {
		log.Error("the messages stay unread", "error", err)
	}
}
