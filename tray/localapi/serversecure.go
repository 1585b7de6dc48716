package localapi

import (
	"net/http"

	"earshot/protocol/hostnet/localhttp"
	"earshot/tray/chat"
)

type (
	editRequest struct {
		ID   int64  `json:"id"`
		Text string `json:"text"`
	}
	typingRequest struct {
		Peer   string `json:"peer"`
		Active bool   `json:"active"`
	}
	trustRequest struct {
		Peer   string           `json:"peer"`
		Action chat.TrustAction `json:"action"`
	}
	deviceRequest struct {
		ID string `json:"id"`
	}
	namesRequest struct {
		Names []string `json:"names"`
	}
)

// handleSecure serves what only the secure protocol has.
func handleSecure(s *localhttp.Service, engine Engine) {
	s.Get("/v1/recipients", func(r *http.Request) (any, error) {
		id, err := number(r, "id", 0)
		if err != nil {
			return nil, err
		}
		recipients, err := engine.Recipients(r.Context(), id)
		return list(recipients), err
	})
	localhttp.Post(s, "/v1/edit", func(r *http.Request, in *editRequest) (any, error) {
		return struct{}{}, engine.Edit(r.Context(), in.ID, in.Text)
	})
	localhttp.Post(s, "/v1/delete", func(r *http.Request, in *idRequest) (any, error) {
		return struct{}{}, engine.Delete(r.Context(), in.ID)
	})
	localhttp.Post(s, "/v1/acknowledge", func(r *http.Request, in *idRequest) (any, error) {
		return struct{}{}, engine.Acknowledge(r.Context(), in.ID)
	})
	localhttp.Post(s, "/v1/typing", func(_ *http.Request, in *typingRequest) (any, error) {
		engine.Typing(in.Peer, in.Active)
		return struct{}{}, nil
	})
	localhttp.Post(s, "/v1/presence", func(r *http.Request, in *chat.OwnStatus) (any, error) {
		return struct{}{}, engine.SetStatus(r.Context(), *in)
	})
	s.Get("/v1/safety", func(r *http.Request) (any, error) {
		return engine.Safety(r.Context(), r.URL.Query().Get("peer"))
	})
	localhttp.Post(s, "/v1/trust", func(r *http.Request, in *trustRequest) (any, error) {
		return struct{}{}, engine.Trust(r.Context(), in.Peer, in.Action)
	})
	s.Get("/v1/devices", func(r *http.Request) (any, error) {
		devices, err := engine.Devices(r.Context())
		return list(devices), err
	})
	localhttp.Post(s, "/v1/devices/join", func(r *http.Request, _ *struct{}) (any, error) {
		return engine.OfferJoin(r.Context())
	})
	localhttp.Post(s, "/v1/diagnose", func(r *http.Request, in *namesRequest) (any, error) {
		d, err := engine.Diagnose(r.Context(), in.Names)
		d.Checks, d.Addresses, d.People = list(d.Checks), list(d.Addresses), list(d.People)
		return d, err
	})
	localhttp.Post(s, "/v1/devices/remove", func(r *http.Request, in *deviceRequest) (any, error) {
		return struct{}{}, engine.RemoveDevice(r.Context(), in.ID)
	})
}
