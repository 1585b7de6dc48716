//go:build !darwin

package menu

import (
	"context"
	"runtime"
	"strings"
	"sync"

	"fyne.io/systray"

	"earshot/icons"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
)

// Run shows the icon and its menu until the person chooses Quit or ctx ends.
// It must be called on the main goroutine, before that has done anything else:
// some desktops serve a window only from the thread that made it. It may be
// called once in a process.
//
// Where the desktop has no tray, it says so once, opens Find in its place, and
// waits for a tray to come.
func Run(ctx context.Context, engine localapi.Engine, p *i18n.Printer, opts Options) error {
	opts.fill()
	if opts.SessionEnded == nil {
		opts.SessionEnded = engine.Quit
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !available() {
		missing(ctx, engine, p, opts)
		<-ctx.Done()
		return nil
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { watchTray(ctx, engine, p, opts) })

	if runtime.GOOS != "windows" {
		// Before the icon is registered: the panel knows it by its title, and
		// would take it for another one after each start.
		systray.SetTitle("Earshot")
		setIcon(icons.Offline, 0)
	}
	ready := make(chan struct{})
	board := &board{engine: engine, p: p, log: opts.Log, browse: opts.Browse, say: opts.Say}
	running.Go(func() {
		defer systray.Quit()
		select {
		case <-ready:
		case <-ctx.Done():
			return
		}
		board.run(ctx)
	})
	systray.Run(func() {
		board.tray = newSystemTray(ctx)
		close(ready)
	}, cancel)
	return nil
}

// missing says that there is no tray, and opens what takes its place.
func missing(ctx context.Context, engine localapi.Engine, p *i18n.Printer, opts Options) {
	opts.Log.Warn("this desktop has no tray")
	if opts.Say != nil {
		opts.Say(p.T("MenuNoTray"))
	}
	if err := engine.Compose(ctx, ""); err != nil {
		opts.Log.Error("Find did not open", "error", err)
	}
}

// systemTray is the desktop's tray. The items of its menu are made at the start,
// and those of a submenu when the first of them is shown: a row that has one
// looks so even while it can't be opened.
type systemTray struct {
	ctx     context.Context // of the tray's life
	items   [slots]*systray.MenuItem
	visible [slots]bool
	clicked chan int
}

func newSystemTray(ctx context.Context) *systemTray {
	t := &systemTray{ctx: ctx, clicked: make(chan int)}
	for slot := range slotPresence {
		item := systray.AddMenuItem(" ", "")
		item.Hide()
		t.add(slot, item)
		if endsSection(slot) {
			systray.AddSeparator()
		}
	}
	return t
}

// grow makes a slot's item, and those that stand above it in the submenu, for
// items can only be added at the end.
func (t *systemTray) grow(slot int) {
	above := slot
	for above > 0 && parent(above-1) == parent(slot) && t.items[above-1] == nil {
		above--
	}
	in := t.items[parent(slot)]
	for ; above <= slot; above++ {
		var item *systray.MenuItem
		if above >= slotPresence && above < slotStatus {
			item = in.AddSubMenuItemCheckbox(" ", "", false)
		} else {
			item = in.AddSubMenuItem(" ", "")
		}
		if above != slot {
			item.Hide()
		}
		t.add(above, item)
	}
	t.visible[slot] = true
}

// add passes an item's clicks on. A click is dropped if nobody receives it, and
// an item's channel is closed when the item is removed.
func (t *systemTray) add(slot int, item *systray.MenuItem) {
	t.items[slot] = item
	go func() {
		for {
			select {
			case <-t.ctx.Done():
				return
			case _, open := <-item.ClickedCh:
				if !open {
					return
				}
			}
			select {
			case t.clicked <- slot:
			case <-t.ctx.Done():
				return
			}
		}
	}()
}

func (t *systemTray) setIcon(state icons.State, unread int) { setIcon(state, unread) }

func setIcon(state icons.State, unread int) {
	if runtime.GOOS == "windows" {
		systray.SetIcon(icons.TrayICO(panel(), state, unread))
		return
	}
	systray.SetIcon(icons.TrayPNG(icons.AnyPanel, state, unread))
}

func (t *systemTray) setTooltip(text string) {
	systray.SetTooltip(text)
}

func (t *systemTray) setRow(slot int, r row) {
	// Each of these calls makes the panel read the menu anew, so only what
	// differs is called.
	item := t.items[slot]
	if r.title == "" {
		if item != nil {
			item.Hide()
		}
		t.visible[slot] = false
		return
	}
	if item == nil {
		t.grow(slot)
		item = t.items[slot]
	}
	if enabled := r.kind != nothing; enabled == item.Disabled() {
		if enabled {
			item.Enable()
		} else {
			item.Disable()
		}
	}
	if r.checked != item.Checked() {
		if r.checked {
			item.Check()
		} else {
			item.Uncheck()
		}
	}
	item.SetTitle(escape(r.title))
	if !t.visible[slot] {
		item.Show()
		t.visible[slot] = true
	}
}

func (t *systemTray) clicks() <-chan int { return t.clicked }

// escape keeps what marks a key in a menu from vanishing out of names.
func escape(title string) string {
	if runtime.GOOS == "windows" {
		return strings.ReplaceAll(title, "&", "&&")
	}
	return strings.ReplaceAll(title, "_", "__")
}
