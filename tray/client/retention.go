package client

import (
	"slices"
	"time"

	"earshot/tray/store"
)

const (
	// forgetEvery is how often it is looked for messages that are too old, and
	// forgetRest how long it rests where there are many.
	forgetEvery = 6 * time.Hour
	forgetRest  = time.Second
)

// forgetInput deletes messages that are older than the person, or the
// administrator, wants them kept.
func (e *Engine) forgetInput() input {
	days := e.config.Settings.Values().HistoryDays
	at := now()
	f := &store.Forget{Before: at.AddDate(0, 0, -days), Now: at}
	return input{
		alone: true,
		prepare: func() []store.Change {
			if days == 0 {
				return nil
			}
			return []store.Change{f}
		},
		commit: func(err error) {
			e.forgetAt = at.Add(forgetEvery)
			if err == nil && f.More {
				e.forgetAt = at.Add(forgetRest)
			}
			if f.Count > 0 {
				e.erased("")
				e.log.Info("old messages are deleted", "count", f.Count, "days", days)
			}
			e.wakeBy(e.forgetAt)
		},
	}
}

// forgetSoon has it looked for old messages at once, if that was set just now.
func (e *Engine) forgetSoon(changed []string) {
	if slices.Contains(changed, "history_days") {
		e.forgetAt = time.Time{}
		e.wakeBy(now())
	}
}
