package popup

import (
	"log/slog"

	"earshot/tray/popup/ui"
)

// places is what is remembered of windows' sizes. It belongs to the toolkit's
// thread.
type places struct {
	store   Sizes // nil: nothing is remembered
	sizes   map[string][2]int
	changed bool
}

func (p *places) load() {
	if p.store != nil {
		p.sizes = p.store.WindowSizes()
	}
	if p.sizes == nil {
		p.sizes = make(map[string][2]int)
	}
}

func (p *places) of(kind string) ui.Size {
	size := p.sizes[kind]
	return ui.Size{Width: size[0], Height: size[1]}
}

func (p *places) set(kind string, size ui.Size) {
	if next := [2]int{size.Width, size.Height}; p.sizes[kind] != next {
		p.sizes[kind], p.changed = next, true
	}
}

// keep writes down what has changed. It costs a wait for the disk, so it is
// called when a window goes and not while somebody drags its corner.
func (p *places) keep() {
	if !p.changed || p.store == nil {
		return
	}
	p.changed = false
	if err := p.store.KeepWindowSizes(p.sizes); err != nil {
		slog.Warn("the windows' sizes were not kept", "error", err)
	}
}
