package client

import (
	"context"
	"strings"
	"time"

	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/store"
)

// Draft implements localapi.Engine.
func (e *Engine) Draft(ctx context.Context, peer string) (chat.Draft, error) {
	draft, err := e.config.Store.Draft(ctx, peer)
	if err != nil {
		return chat.Draft{}, e.unreadable(ctx, err)
	}
	return draft, nil
}

// KeepDraft implements localapi.Engine. Whom it is written to need not be known
// at the moment: people come and go while somebody writes to them.
func (e *Engine) KeepDraft(ctx context.Context, draft chat.Draft) error {
	switch {
	case draft.To == "":
		return e.sentence(localapi.CodeUnknownPerson, "EngineUnknownPerson", "Name", draft.To)
	case len(draft.Text) > MaxText:
		return e.sentence(localapi.CodeBadRequest, "EngineLongText", "Limit", MaxText>>10)
	case strings.TrimSpace(draft.Text) == "":
		draft.Text = ""
	}
	draft.Text = strings.ToValidUTF8(draft.Text, "\uFFFD")
	return e.do(ctx, input{
		prepare: func() []store.Change { return []store.Change{store.SetDraft{Draft: draft, At: time.Now()}} },
		commit:  func(error) {},
	})
}
