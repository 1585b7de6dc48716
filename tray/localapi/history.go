package localapi

import (
	"context"
	"net/http"

	"earshot/protocol/hostnet/localhttp"
	"earshot/tray/chat"
)

func handleHistory(s *localhttp.Service, engine Engine) {
	localhttp.Post(s, "/v1/search", func(r *http.Request, in *chat.Query) (any, error) {
		messages, err := engine.Search(r.Context(), *in)
		return list(messages), err
	})
	s.Get("/v1/conversations", func(r *http.Request) (any, error) {
		conversations, err := engine.Conversations(r.Context())
		return list(conversations), err
	})
	localhttp.Post(s, "/v1/erase", func(r *http.Request, in *chat.Erasure) (any, error) {
		return engine.Erase(r.Context(), *in)
	})
}

// Search implements Engine.
func (c *Client) Search(ctx context.Context, q chat.Query) ([]chat.Message, error) {
	var messages []chat.Message
	err := c.do(ctx, "POST", "/v1/search", q, &messages)
	return messages, err
}

// Conversations implements Engine.
func (c *Client) Conversations(ctx context.Context) ([]chat.Conversation, error) {
	var conversations []chat.Conversation
	err := c.do(ctx, "GET", "/v1/conversations", nil, &conversations)
	return conversations, err
}

// Erase implements Engine.
func (c *Client) Erase(ctx context.Context, what chat.Erasure) (chat.Erased, error) {
	var erased chat.Erased
	err := c.do(ctx, "POST", "/v1/erase", what, &erased)
	return erased, err
}
