package localapi

import (
	"context"
	"net/url"
	"strconv"

	"earshot/tray/chat"
)

// Recipients implements Engine.
func (c *Client) Recipients(ctx context.Context, id int64) ([]chat.Recipient, error) {
	var recipients []chat.Recipient
	err := c.do(ctx, "GET", "/v1/recipients?id="+strconv.FormatInt(id, 10), nil, &recipients)
	return recipients, err
}

// Edit implements Engine.
func (c *Client) Edit(ctx context.Context, id int64, text string) error {
	return c.do(ctx, "POST", "/v1/edit", editRequest{ID: id, Text: text}, nil)
}

// Delete implements Engine.
func (c *Client) Delete(ctx context.Context, id int64) error {
	return c.do(ctx, "POST", "/v1/delete", idRequest{ID: id}, nil)
}

// Acknowledge implements Engine.
func (c *Client) Acknowledge(ctx context.Context, id int64) error {
	return c.do(ctx, "POST", "/v1/acknowledge", idRequest{ID: id}, nil)
}

// Tell is Typing with an error.
func (c *Client) Tell(ctx context.Context, peer string, active bool) error {
	return c.do(ctx, "POST", "/v1/typing", typingRequest{Peer: peer, Active: active}, nil)
}

// Typing implements Engine.
func (c *Client) Typing(peer string, active bool) { _ = c.Tell(context.Background(), peer, active) }

// SetStatus implements Engine.
func (c *Client) SetStatus(ctx context.Context, own chat.OwnStatus) error {
	return c.do(ctx, "POST", "/v1/presence", own, nil)
}

// Safety implements Engine.
func (c *Client) Safety(ctx context.Context, peer string) (chat.Safety, error) {
	var safety chat.Safety
	err := c.do(ctx, "GET", "/v1/safety?"+url.Values{"peer": {peer}}.Encode(), nil, &safety)
	return safety, err
}

// Trust implements Engine.
func (c *Client) Trust(ctx context.Context, peer string, action chat.TrustAction) error {
	return c.do(ctx, "POST", "/v1/trust", trustRequest{Peer: peer, Action: action}, nil)
}

// Devices implements Engine.
func (c *Client) Devices(ctx context.Context) ([]chat.Device, error) {
	var devices []chat.Device
	err := c.do(ctx, "GET", "/v1/devices", nil, &devices)
	return devices, err
}

// OfferJoin implements Engine.
func (c *Client) OfferJoin(ctx context.Context) (chat.JoinOffer, error) {
	var offer chat.JoinOffer
	err := c.do(ctx, "POST", "/v1/devices/join", struct{}{}, &offer)
	return offer, err
}

// RemoveDevice implements Engine.
func (c *Client) RemoveDevice(ctx context.Context, id string) error {
	return c.do(ctx, "POST", "/v1/devices/remove", deviceRequest{ID: id}, nil)
}

// Diagnose implements Engine.
func (c *Client) Diagnose(ctx context.Context, names []string) (chat.Diagnosis, error) {
	var diagnosis chat.Diagnosis
	err := c.do(ctx, "POST", "/v1/diagnose", namesRequest{Names: names}, &diagnosis)
	return diagnosis, err
}
