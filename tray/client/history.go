package client

import (
	"context"
	"math"

	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/store"
)

// Search implements localapi.Engine.
func (e *Engine) Search(ctx context.Context, q chat.Query) ([]chat.Message, error) {
	if len(q.Text) > maxQuery {
		return nil, e.sentence(localapi.CodeBadRequest, "EngineLongQuery")
	}
	q.Limit = min(max(q.Limit, 1), MaxHistory)
	list, err := e.config.Store.Search(ctx, q)
	if err != nil {
		return nil, e.unreadable(ctx, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range list {
		e.decorateLocked(&list[i])
	}
	return list, nil
}

// maxQuery is how long a query may be, in bytes.
const maxQuery = 1000

// Conversations implements localapi.Engine.
func (e *Engine) Conversations(ctx context.Context) ([]chat.Conversation, error) {
	list, err := e.config.Store.Conversations(ctx, math.MaxInt32)
	if err != nil {
		return nil, e.unreadable(ctx, err)
	}
	conversations := make([]chat.Conversation, len(list))
	for i, c := range list {
		conversations[i] = chat.Conversation(c)
	}
	return conversations, nil
}

// Erase implements localapi.Engine. Others may store messages between two rounds.
func (e *Engine) Erase(ctx context.Context, what chat.Erasure) (total chat.Erased, err error) {
	if what.ID == 0 && what.Peer == "" && !what.All {
		return total, e.sentence(localapi.CodeBadRequest, "EngineEraseNothing")
	}
	for {
		erase := &store.Erase{What: what, Now: now()}
		err := e.do(ctx, input{
			alone:   true,
			prepare: func() []store.Change { return []store.Change{erase} },
			commit: func(err error) {
				if err != nil {
					return
				}
				for peer, n := range erase.Unread {
					e.nowRead(peer, n)
				}
				if erase.Count > 0 {
					e.erased(what.Peer)
				}
			},
		})
		if err != nil {
			return total, err
		}
		total.Count, total.Kept = total.Count+erase.Count, erase.Kept
		if !erase.More {
			break
		}
	}
	if err := e.config.Store.Settle(ctx); err != nil {
		// It happens by itself later on.
		e.log.Warn("what was erased is in the journal for a while", "error", err)
	}
	e.log.Info("messages are erased", "count", total.Count)
	return total, nil
}

// erased tells everybody who shows messages that some are gone; an empty peer is
// whichever.
func (e *Engine) erased(peer string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.publishLocked(chat.Event{Type: chat.EventErased, Peer: peer})
}
