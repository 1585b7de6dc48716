package menu

import (
	"context"
	"log/slog"
	"time"

	"earshot/icons"
	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
)

// batchEvery is the least time between two changes of the menu: every one of
// them makes the panel read the menu anew.
const batchEvery = time.Second

// tray is what shows the menu: the desktop's tray, or a test's. Its methods are
// called from one goroutine.
type tray interface {
	setIcon(state icons.State, unread int)
	setTooltip(text string)
	// setRow shows a slot with a row's title, as one that can be clicked or
	// not, and as the checked one or not. An empty title hides it.
	setRow(slot int, r row)
	// clicks delivers the slots that are clicked.
	clicks() <-chan int
}

// board keeps a tray in step with the engine. Its fields belong to run's
// goroutine.
type board struct {
	engine localapi.Engine
	p      *i18n.Printer
	tray   tray
	log    *slog.Logger
	browse func(url string) error
	say    func(sentence string)

	shown   [slots]row
	before  [slots]row // what was shown until drawn
	drawn   time.Time
	icon    icons.State
	unread  int
	tooltip string
}

// run follows the engine's events until the engine or ctx ends, or the person
// chooses Quit. The first change after a rest shows at once,
// and what follows within a second comes together.
func (b *board) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	changed := make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() { defer close(ended); b.follow(ctx, changed) }()
	defer func() { cancel(); <-ended }()

	timer := time.NewTimer(0)
	defer timer.Stop()
	var last time.Time
	dirty := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-ended:
			return
		case <-changed:
			if !dirty {
				dirty = true
				timer.Reset(time.Until(last.Add(batchEvery)))
			}
		case <-timer.C:
			if dirty {
				b.draw()
				dirty, last = false, time.Now()
			}
		case slot := <-b.tray.clicks():
			if b.click(ctx, slot) {
				return
			}
		}
	}
}

// follow signals changed after each event that may change the menu.
func (b *board) follow(ctx context.Context, changed chan<- struct{}) {
	events := b.engine.Subscribe(localapi.Watcher)
	defer events.Close()
	for {
		if _, err := events.Next(ctx); err != nil {
			return
		}
		select {
		case changed <- struct{}{}:
		default: // it is known already
		}
	}
}

// draw shows what is different from what is shown.
func (b *board) draw() {
	status, roster := b.engine.Status(), b.engine.Roster()
	if state := state(status); b.icon != state || b.unread != status.Unread {
		b.tray.setIcon(state, status.Unread)
		b.icon, b.unread = state, status.Unread
	}
	if text := tooltip(b.p, status, roster); text != b.tooltip {
		b.tray.setTooltip(text)
		b.tooltip = text
	}
	want := rows(b.p, status, roster)
	for slot, row := range want {
		if was := b.shown[slot]; row.title != was.title || row.checked != was.checked || (row.kind == nothing) != (was.kind == nothing) {
			b.tray.setRow(slot, row)
		}
	}
	b.before, b.shown, b.drawn = b.shown, want, time.Now()
}

// state is what the icon shows.
func state(status chat.Status) icons.State {
	switch {
	case status.Connection != chat.Online:
		return icons.Offline
	case own(status) == chat.Away:
		return icons.Away
	case own(status) == chat.Busy:
		return icons.Busy
	}
	return icons.Online
}

// aimTime is how long a person who clicks has been looking at what is clicked.
const aimTime = 400 * time.Millisecond

// click does what the row says that the person saw in the slot: if the menu has
// changed under the pointer a moment ago, that is what was there before, so
// that nobody writes to the wrong one.
func (b *board) click(ctx context.Context, slot int) (quitChosen bool) {
	row := b.shown[slot]
	if time.Since(b.drawn) < aimTime && b.before[slot].kind != nothing {
		row = b.before[slot]
	}
	switch row.kind {
	case compose:
		if err := b.engine.Compose(ctx, row.peer); err != nil {
			b.log.Error("the popup did not open", "error", err)
		}
	case be:
		own := b.engine.Status().Own
		own.Presence = row.presence
		if err := b.engine.SetStatus(ctx, own); err != nil {
			b.log.Error("the presence did not change", "error", err)
		}
	case page:
		b.open(ctx, row.peer)
	case quit:
		b.engine.Quit()
		return true
	}
	return false
}

// pageCommands print the link to a page.
var pageCommands = map[string]string{"settings": "settings page", "history": "history --page", "doctor": "doctor"}

// open shows a page, or says why that can't be.
func (b *board) open(ctx context.Context, name string) {
	url, err := b.engine.Page(ctx, name)
	if err == nil && b.browse != nil {
		err = b.browse(url)
	}
	if err == nil {
		return
	}
	b.log.Error("a page did not open", "page", name, "error", err)
	if b.say != nil {
		b.say(b.p.T("MenuNoBrowser", "Command", pageCommands[name]))
	}
}
