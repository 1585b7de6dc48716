package client

import (
	"context"
	"errors"
	"slices"
	"strings"

	"earshot/tray/chat"
	"earshot/tray/localapi"
	"earshot/tray/settings"
)

// Settings implements localapi.Engine.
func (e *Engine) Settings(context.Context) ([]settings.Item, error) {
	return e.config.Settings.List(e.p), nil
}

// SetSetting implements localapi.Engine.
func (e *Engine) SetSetting(ctx context.Context, name string, value any) error {
	if text, ok := value.(string); ok && name == "name" {
		if err := e.renaming(text); err != nil {
			return err
		}
	}
	return e.settingsError(e.config.Settings.Set(ctx, name, value))
}

// ResetSetting implements localapi.Engine.
func (e *Engine) ResetSetting(ctx context.Context, name string) error {
	if name == "name" {
		if err := e.renaming(""); err != nil {
			return err
		}
	}
	return e.settingsError(e.config.Settings.Reset(ctx, name))
}

// renaming says why the person can't have another name: a secure coordinator
// knows the device by the account's, and would not let it in under another.
func (e *Engine) renaming(name string) error {
	status := e.Status()
	if status.Connection == chat.Online && status.Secure && key(strings.TrimSpace(name)) != key(status.Name) {
		return e.sentence(localapi.CodeBadRequest, "EngineNameIsAccount", "Name", status.Name)
	}
	return nil
}

// Page implements localapi.Engine.
func (e *Engine) Page(_ context.Context, name string) (string, error) {
	if e.config.Page == nil {
		return "", e.sentence(localapi.CodeBadRequest, "EngineNoPage", "Name", name)
	}
	url, err := e.config.Page(name)
	if err != nil {
		e.log.Warn("a page does not open", "page", name, "error", err)
		return "", e.sentence(localapi.CodeBadRequest, "EngineNoPage", "Name", name)
	}
	return url, nil
}

func (e *Engine) settingsError(err error) error {
	if err == nil {
		return nil
	}
	sentence, ok := settings.Explain(err, e.p)
	switch {
	case errors.Is(err, settings.ErrLocked):
		return &localapi.Error{Code: localapi.CodeLocked, Text: sentence}
	case ok:
		return &localapi.Error{Code: localapi.CodeBadRequest, Text: sentence}
	case errors.Is(err, context.Canceled):
		return err
	}
	e.log.Error("the settings could not be saved", "error", err)
	return e.sentence(localapi.CodeFailed, "EngineSettingsNotSaved")
}

// Adapt tells everyone which settings have changed, once what depends on them
// has: server is the coordinator as a person reads it.
func (e *Engine) Adapt(names []string, server string) {
	_ = e.ask(context.Background(), act(func() {
		e.forgetSoon(names)
		e.quieten()
		if slices.Contains(names, "people") {
			e.likes()
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		moved := e.server != server
		e.server = server
		e.setStatusLocked(func(s *chat.Status) {
			s.Language = e.p.Tag().String()
			if moved {
				s.Server = server
			}
		})
		e.publishLocked(chat.Event{Type: chat.EventSettings, Settings: names})
	}))
}

// Tell shows the person a sentence.
func (e *Engine) Tell(sentence string) {
	_ = e.ask(context.Background(), act(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.publishLocked(chat.Event{Type: chat.EventNotice, Notice: sentence})
	}))
}

// none is where the settings of an engine are that was given none.
type none struct{}

func (none) Load() (settings.Chosen, error) { return settings.Chosen{}, nil }
func (none) Save(settings.Chosen) error     { return nil }
