package menu

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"earshot/icons"
	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
)

const (
	// batchEvery is the least time between two changes of the menu: every one of
	// them makes the panel read the menu anew.
	batchEvery = time.Second
	// batchSize is how many rows a batch may change before the submenus that are
	// left wait for the next: what is opened first is right at once, and a panel
	// has time for something else, too.
	batchSize = 16
)

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
	group   int // the first that is drawn where a batch has no room for all
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
				dirty, last = b.draw(), time.Now()
				if dirty {
					timer.Reset(batchEvery)
				}
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

// draw shows what is different from what is shown, and says whether it has left
// something for the next time.
func (b *board) draw() (left bool) {
	status, roster := b.engine.Status(), b.engine.Roster()
	if state := state(status); b.icon != state || b.unread != status.Unread {
		b.tray.setIcon(state, status.Unread)
		b.icon, b.unread = state, status.Unread
	}
	if text := tooltip(b.p, status, roster); text != b.tooltip {
		b.tray.setTooltip(text)
		b.tooltip = text
	}
	b.before = b.shown
	want := rows(b.p, status, roster, time.Now())
	spent := 0
	for slot := range slotMembers {
		if slot < slotGroups || slot >= slotMore {
			spent += b.set(slot, want[slot])
		}
	}
	for i := range maxGroups {
		g := (b.group + i) % maxGroups
		if want[slotGroups+g].title == "" {
			spent += b.set(slotGroups+g, row{})
			continue
		}
		if spent >= batchSize && want[slotGroups+g].value == b.shown[slotGroups+g].value && b.differs(g, &want) {
			if !left {
				b.group, left = g, true
			}
			continue
		}
		spent += b.setGroup(g, &want)
	}
	b.drawn = time.Now()
	return left
}

// set shows a row, if that is a change.
func (b *board) set(slot int, r row) (changes int) {
	was := b.shown[slot]
	b.shown[slot] = r
	if r.title == was.title && r.checked == was.checked && (r.kind == nothing) == (was.kind == nothing) {
		return 0
	}
	b.tray.setRow(slot, r)
	return 1
}

// setGroup shows a group and its members: they change together, so that nobody
// is seen in another's department.
func (b *board) setGroup(g int, want *[slots]row) (changes int) {
	changes = b.set(slotGroups+g, want[slotGroups+g])
	first, end := members(g)
	for slot := first; slot < end; slot++ {
		changes += b.set(slot, want[slot])
	}
	return changes
}

func (b *board) differs(g int, want *[slots]row) bool {
	first, end := members(g)
	return b.shown[slotGroups+g] != want[slotGroups+g] || !slices.Equal(b.shown[first:end], want[first:end])
}

// state is what the icon shows.
func state(status chat.Status) icons.State {
	switch {
	case status.Connection != chat.Online:
		return icons.Offline
	case status.Quiet, own(status) == chat.Busy:
		return icons.Busy
	case own(status) == chat.Away:
		return icons.Away
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
		if err := b.engine.Compose(ctx, row.value); err != nil {
			b.log.Error("the popup did not open", "error", err)
		}
	case be:
		own := b.engine.Status().Own
		own.Presence = row.presence
		if err := b.engine.SetStatus(ctx, own); err != nil {
			b.log.Error("the presence did not change", "error", err)
		}
	case quiet:
		b.hush(ctx, row.value)
	case page:
		name, place, _ := strings.Cut(row.value, "#")
		b.open(ctx, name, place)
	case quit:
		b.engine.Quit()
		return true
	}
	return false
}

// pageCommands print the link to a page.
var pageCommands = map[string]string{"settings": "settings page", "history": "history --page", "doctor": "doctor"}

// hush sets for how long the person does not want to be disturbed, or says why
// that can't be.
func (b *board) hush(ctx context.Context, length string) {
	if length == tomorrow {
		length = midnight(time.Now(), 1).Add(8 * time.Hour).Format(time.RFC3339)
	}
	if err := b.engine.SetSetting(ctx, "do_not_disturb", length); err != nil {
		b.log.Error("a setting did not change", "error", err)
		if b.say != nil {
			b.say(err.Error())
		}
	}
}

// open shows a place of a page, or says why that can't be.
func (b *board) open(ctx context.Context, name, place string) {
	url, err := b.engine.Page(ctx, name)
	if err == nil && place != "" {
		url += "#" + place
	}
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
