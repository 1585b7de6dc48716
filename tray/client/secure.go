package client

import (
	"context"

	"earshot/tray/chat"
	"earshot/tray/localapi"
)

func (e *Engine) unsupported() error {
	return e.sentence(localapi.CodeBadRequest, "EngineNotSupported")
}

// Recipients implements localapi.Engine.
func (e *Engine) Recipients(context.Context, int64) ([]chat.Recipient, error) {
	return nil, e.unsupported()
}

// Edit implements localapi.Engine.
func (e *Engine) Edit(context.Context, int64, string) error { return e.unsupported() }

// Delete implements localapi.Engine.
func (e *Engine) Delete(context.Context, int64) error { return e.unsupported() }

// Acknowledge implements localapi.Engine.
func (e *Engine) Acknowledge(context.Context, int64) error { return e.unsupported() }

// Typing implements localapi.Engine.
func (e *Engine) Typing(string, bool) {}

// SetStatus implements localapi.Engine.
func (e *Engine) SetStatus(context.Context, chat.OwnStatus) error { return e.unsupported() }

// AutoAway says that the person has left the computer alone for a while, or is
// back. Others see away instead of online meanwhile.
func (e *Engine) AutoAway(bool) {}

// Safety implements localapi.Engine.
func (e *Engine) Safety(context.Context, string) (chat.Safety, error) {
	return chat.Safety{}, e.unsupported()
}

// Trust implements localapi.Engine.
func (e *Engine) Trust(context.Context, string, chat.TrustAction) error { return e.unsupported() }

// Devices implements localapi.Engine.
func (e *Engine) Devices(context.Context) ([]chat.Device, error) { return nil, e.unsupported() }

// OfferJoin implements localapi.Engine.
func (e *Engine) OfferJoin(context.Context) (chat.JoinOffer, error) {
	return chat.JoinOffer{}, e.unsupported()
}

// RemoveDevice implements localapi.Engine.
func (e *Engine) RemoveDevice(context.Context, string) error { return e.unsupported() }
