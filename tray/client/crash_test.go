package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/client"
	"earshot/tray/store"
)

// power cuts a home off at one of its changes to the store, just before or just
// after it is on the disk.
type power struct {
	client.Store
	home  *home
	at    int
	after bool
	cut   bool // under the world's mutex
	count int  // of the engine's goroutine
}

var errPower = errors.New("the power is off")

func (p *power) Apply(ctx context.Context, changes ...store.Change) error {
	p.count++
	switch {
	case p.count < p.at:
		return p.Store.Apply(ctx, changes...)
	case p.count > p.at:
		return errPower
	}
	if p.after {
		if err := p.Store.Apply(ctx, changes...); err != nil {
			return err
		}
	}
	w := p.home.w
	w.mu.Lock()
	n := p.home.node
	p.cut = true
	w.mu.Unlock()
	if n != nil {
		n.crash()
	}
	return errPower
}

// One of two engines loses its power at every change that it ever makes to its
// store: nothing is lost, doubled or out of order, whatever the person does
// again because it seems not to have happened.
func TestPowerCutAtEveryStep(t *testing.T) {
	for _, who := range []string{"Ann", "Bo"} {
		for _, after := range []bool{false, true} {
			at := 1
			for ; ; at++ {
				cut := false
				name := fmt.Sprintf("%s at change %d, stored %v", who, at, after)
				t.Run(name, func(t *testing.T) {
					inWorld(t, uint64(at), func(t *testing.T, w *world) { cut = powerCut(t, w, who, at, after) })
				})
				if !cut || t.Failed() {
					break
				}
			}
			if at < 8 {
				t.Errorf("%s made only %d changes", who, at)
			}
		}
	}
}

// powerCut runs a conversation and reports whether the power was cut.
func powerCut(t *testing.T, w *world, who string, at int, after bool) bool {
	ann, bo := w.home("Ann", "laptop"), w.home("Bo", "desk")
	victim := ann
	if who == "Bo" {
		victim = bo
	}
	var p *power
	victim.change = func(c *client.Config) {
		if p == nil {
			p = &power{Store: c.Store, home: victim, at: at, after: after}
			c.Store = p
		}
	}
	ann.start()
	bo.start()
	revived := false
	revive := func() {
		w.mu.Lock()
		cut := p.cut && !revived
		w.mu.Unlock()
		if cut {
			revived = true
			victim.restart()
		}
	}
	// Each step is done again until it shows.
	step := func(what string, do func() error, shows func() bool) {
		t.Helper()
		w.until(what, func() bool {
			revive()
			if shows() {
				return true
			}
			_ = do() // it shows, or doesn't
			return false
		})
	}
	has := func(h *home, peer string, want func(chat.Message) bool) func() bool {
		return func() bool { return slices.ContainsFunc(h.history(peer), want) }
	}
	find := func(h *home, peer, text string) (m chat.Message) {
		for _, m = range h.history(peer) {
			if m.Text == text {
				break
			}
		}
		return m
	}
	ctx := t.Context()
	for _, text := range []string{"one", "two", "three"} {
		step(text, func() error {
			_, err := ann.engine.Send(ctx, chat.Draft{To: "Bo", Text: text, Urgent: text == "two"}, false)
			return err
		}, has(ann, "Bo", func(m chat.Message) bool { return m.Text == text }))
	}
	step("Bo has it", func() error { return nil }, has(bo, "Ann", func(m chat.Message) bool { return m.Text == "three" }))
	step("Bo has read it", func() error { return bo.engine.MarkRead(ctx, "Ann") },
		has(bo, "Ann", func(m chat.Message) bool { return m.Text == "three" && !m.Unread }))
	step("Bo answers", func() error { return bo.engine.Acknowledge(ctx, find(bo, "Ann", "two").ID) },
		has(bo, "Ann", func(m chat.Message) bool { return m.Acknowledged }))
	step("Ann edits", func() error { return ann.engine.Edit(ctx, find(ann, "Bo", "one").ID, "one!") },
		has(ann, "Bo", func(m chat.Message) bool { return m.Edited }))
	step("Ann takes one back", func() error { return ann.engine.Delete(ctx, find(ann, "Bo", "three").ID) },
		has(ann, "Bo", func(m chat.Message) bool { return m.Deleted }))
	describe := func(h *home, peer string) (list []string) {
		for _, m := range h.history(peer) {
			list = append(list, fmt.Sprint(m.Text, " ", m.State, " edited ", m.Edited, " deleted ", m.Deleted, " answered ", m.Acknowledged))
		}
		return list
	}
	wantBo := []string{
		"one! received edited true deleted false answered false",
		"two received edited false deleted false answered true",
		" received edited false deleted true answered false",
	}
	wantAnn := []string{
		"one! read edited true deleted false answered false",
		"two read edited false deleted false answered true",
		" read edited false deleted true answered false",
	}
	var gotAnn, gotBo []string
	for range 1000 {
		revive()
		gotAnn, gotBo = describe(ann, "Bo"), describe(bo, "Ann")
		if slices.Equal(gotAnn, wantAnn) && slices.Equal(gotBo, wantBo) {
			break
		}
		w.pass()
	}
	if !slices.Equal(gotAnn, wantAnn) {
		t.Errorf("Ann has %q, not %q", gotAnn, wantAnn)
	}
	if !slices.Equal(gotBo, wantBo) {
		t.Errorf("Bo has %q, not %q", gotBo, wantBo)
	}
	for _, h := range []*home{ann, bo} {
		w.until("nothing is left to be sent", func() bool {
			revive()
			o, err := h.store.Outbox(ctx)
			return err == nil && len(o.Items)+len(o.Deliveries) == 0
		})
	}
	return p.cut
}
