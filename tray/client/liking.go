package client

import (
	"maps"
	"time"

	"earshot/tray/chat"
	"earshot/tray/settings"
)

// quieten notes whether the person wants to be disturbed now, and looks again
// when that may be otherwise. It belongs to Run's goroutine.
func (e *Engine) quieten() {
	set, at := e.config.Settings.Values(), now()
	quiet, next := set.Quiet(at)
	if !next.IsZero() {
		e.wakeBy(next)
	}
	e.setStatus(func(s *chat.Status) {
		s.Quiet, s.QuietUntil, s.QuietHours = quiet, time.Time{}, quiet && !at.Before(set.Undisturbed())
		if quiet {
			s.QuietUntil = next.Round(0).UTC() // comparable
		}
	})
}

// likes takes over who is a favourite, and tells of those of whom that is new.
func (e *Engine) likes() {
	liked := make(map[string]bool)
	for name, person := range e.config.Settings.Values().People {
		if person.Favourite == settings.Always {
			liked[key(name)] = true
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.liked
	if e.liked = liked; maps.Equal(before, liked) {
		return
	}
	for k, p := range e.people {
		if before[k] != liked[k] && (p.online || p.talked) {
			e.personChangedLocked(p)
		}
	}
}
