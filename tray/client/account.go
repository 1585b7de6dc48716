package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/store"
)

// maxStatus is how many characters each text of a status may have.
const maxStatus = 100

var presences = []chat.Presence{p2p.Online: chat.Available, p2p.Away: chat.Away, p2p.Busy: chat.Busy, p2p.Invisible: chat.Invisible}

func presence(p p2p.Presence) chat.Presence {
	if int(p) < len(presences) {
		return presences[p]
	}
	return chat.Available
}

// normalOwn fills in what nobody has chosen.
func normalOwn(own chat.OwnStatus) chat.OwnStatus {
	if !slices.Contains(presences, own.Presence) {
		own.Presence = chat.Available
	}
	return own
}

// effective is what others are told of the person.
func (e *Engine) effective() p2p.Status {
	own := e.Status().Own
	status := p2p.Status{
		Presence: p2p.Presence(slices.Index(presences, own.Presence)),
		Text:     own.Text, Display: own.Display, Department: own.Department,
	}
	if e.away && status.Presence == p2p.Online {
		status.Presence = p2p.Away
	}
	return status
}

// SetStatus implements localapi.Engine.
func (e *Engine) SetStatus(ctx context.Context, own chat.OwnStatus) error {
	for _, text := range []*string{&own.Text, &own.Display, &own.Department} {
		*text = strings.TrimSpace(strings.ToValidUTF8(*text, "\uFFFD"))
		if utf8.RuneCountInString(*text) > maxStatus {
			return e.sentence(localapi.CodeBadRequest, "EngineLongStatus", "Limit", maxStatus)
		}
	}
	if own.Presence != "" && !slices.Contains(presences, own.Presence) {
		return e.sentence(localapi.CodeBadRequest, "EngineNoSuchPresence")
	}
	own = normalOwn(own)
	return e.do(ctx, input{
		alone:   true,
		prepare: func() []store.Change { return []store.Change{store.SetOwn{Own: own}} },
		commit: func(err error) {
			if err != nil {
				return
			}
			e.setStatus(func(s *chat.Status) { s.Own = own })
			e.config.Transport.SetStatus(e.effective())
		},
	})
}

// AutoAway says that the person has left the computer alone for a while, or is
// back. Others see away instead of online meanwhile; any other presence stays.
func (e *Engine) AutoAway(away bool) {
	_ = e.ask(context.Background(), act(func() {
		if e.away != away {
			e.away = away
			e.config.Transport.SetStatus(e.effective())
		}
	}))
}

// Safety implements localapi.Engine.
func (e *Engine) Safety(_ context.Context, peer string) (chat.Safety, error) {
	k, p, trust, fresh, _, err := e.judged(peer)
	if err != nil {
		return chat.Safety{}, err
	}
	if k == "" {
		return chat.Safety{}, e.sentence(localapi.CodeUnknownPerson, "EngineYourself")
	}
	e.mu.Lock()
	known, own, ownFresh, self := e.known[k], e.known[""], e.mine.fresh, e.self
	e.mu.Unlock()
	if len(known.Pins) == 0 || known.Classic {
		return chat.Safety{}, e.sentence(localapi.CodeBadRequest, "EngineNotSecure", "Name", p.Name)
	}
	safety := chat.Safety{Peer: p.Name, Trust: trust}
	safety.Number = identity.SafetyNumber(
		identity.Party{Account: self, Devices: present(own, ownFresh)},
		identity.Party{Account: k, Devices: present(known, fresh)})
	for _, pin := range known.Pins {
		if !pin.Removed {
			safety.Devices = append(safety.Devices, chat.Device{
				ID: pin.Device.String(), Label: pin.Label, Online: isOnline(p, pin.Device),
			})
		}
	}
	for _, d := range fresh {
		safety.Devices = append(safety.Devices, chat.Device{ID: d.Key.String(), Label: d.Label, Online: d.Online, New: true})
	}
	return safety, nil
}

// present are the devices that an account has now, trusted or not: what both
// sides see.
func present(known store.Known, fresh []p2p.Device) []identity.PublicKey {
	devices := trusted(known)
	for _, d := range fresh {
		devices = append(devices, d.Key)
	}
	return devices
}

// Devices implements localapi.Engine.
func (e *Engine) Devices(context.Context) ([]chat.Device, error) {
	if e.config.Device == (identity.PublicKey{}) {
		return nil, e.sentence(localapi.CodeBadRequest, "EngineNotSupported")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	list := []chat.Device{{ID: e.config.Device.String(), Online: e.status.Connection == chat.Online, This: true}}
	for _, d := range e.mine.devices {
		if d.Key == e.config.Device {
			list[0].Label = d.Label
			continue
		}
		list = append(list, chat.Device{
			ID: d.Key.String(), Label: d.Label, Online: d.Online,
			New: slices.ContainsFunc(e.mine.fresh, func(f p2p.Device) bool { return f.Key == d.Key }),
		})
	}
	return list, nil
}

// OfferJoin implements localapi.Engine.
func (e *Engine) OfferJoin(context.Context) (chat.JoinOffer, error) {
	code, expires, err := e.config.Transport.OfferJoin()
	if err != nil {
		return chat.JoinOffer{}, e.accountError(err)
	}
	return chat.JoinOffer{Code: code.String(), Expires: expires}, nil
}

// RemoveDevice implements localapi.Engine.
func (e *Engine) RemoveDevice(ctx context.Context, id string) error {
	wanted, err := identity.ParseID(id)
	if err != nil {
		return e.sentence(localapi.CodeBadRequest, "EngineNoSuchDevice")
	}
	if wanted == e.config.Device.ID() {
		return e.sentence(localapi.CodeBadRequest, "EngineThisDevice")
	}
	e.mu.Lock()
	i := slices.IndexFunc(e.mine.devices, func(d p2p.Device) bool { return d.Key.ID() == wanted })
	var device identity.PublicKey
	if i >= 0 {
		device = e.mine.devices[i].Key
	}
	e.mu.Unlock()
	if i < 0 {
		return e.sentence(localapi.CodeBadRequest, "EngineNoSuchDevice")
	}
	if err := e.config.Transport.RemoveDevice(ctx, device); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return e.accountError(err)
	}
	return nil
}

// accountError is why nothing can be done about the account now.
func (e *Engine) accountError(err error) error {
	switch {
	case errors.Is(err, p2p.ErrNotSupported):
		return e.sentence(localapi.CodeBadRequest, "EngineNotSupported")
	case errors.Is(err, p2p.ErrNotConnected), errors.Is(err, p2p.ErrNoAnswer), errors.Is(err, p2p.ErrUnreachable):
		return e.sentence(localapi.CodeFailed, "EngineNotConnected")
	}
	e.log.Warn("the account could not be changed", "error", err)
	return e.sentence(localapi.CodeFailed, "EngineAccountFailed", "Reason", reason(err))
}
