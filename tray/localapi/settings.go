package localapi

import (
	"context"
	"net/http"

	"earshot/protocol/hostnet/localhttp"
	"earshot/tray/settings"
)

type (
	setRequest struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	}
	nameRequest struct {
		Name string `json:"name"`
	}
	pageAnswer struct {
		URL string `json:"url"`
	}
)

func handleSettings(s *localhttp.Service, engine Engine) {
	s.Get("/v1/settings", func(r *http.Request) (any, error) {
		items, err := engine.Settings(r.Context())
		return list(items), err
	})
	localhttp.Post(s, "/v1/settings/set", func(r *http.Request, in *setRequest) (any, error) {
		return struct{}{}, engine.SetSetting(r.Context(), in.Name, in.Value)
	})
	localhttp.Post(s, "/v1/settings/reset", func(r *http.Request, in *nameRequest) (any, error) {
		return struct{}{}, engine.ResetSetting(r.Context(), in.Name)
	})
	localhttp.Post(s, "/v1/page", func(r *http.Request, in *nameRequest) (any, error) {
		url, err := engine.Page(r.Context(), in.Name)
		return pageAnswer{url}, err
	})
}

// Settings implements Engine. The values are as JSON has them: a number is a
// float64.
func (c *Client) Settings(ctx context.Context) ([]settings.Item, error) {
	var items []settings.Item
	err := c.do(ctx, "GET", "/v1/settings", nil, &items)
	return items, err
}

// SetSetting implements Engine.
func (c *Client) SetSetting(ctx context.Context, name string, value any) error {
	return c.do(ctx, "POST", "/v1/settings/set", setRequest{Name: name, Value: value}, nil)
}

// ResetSetting implements Engine.
func (c *Client) ResetSetting(ctx context.Context, name string) error {
	return c.do(ctx, "POST", "/v1/settings/reset", nameRequest{Name: name}, nil)
}

// Page implements Engine.
func (c *Client) Page(ctx context.Context, name string) (string, error) {
	var answer pageAnswer
	err := c.do(ctx, "POST", "/v1/page", nameRequest{Name: name}, &answer)
	return answer.URL, err
}
