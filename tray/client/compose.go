package client

import (
	"context"
	"time"

	"earshot/tray/chat"
	"earshot/tray/localapi"
)

// popup is the window process as the engine sees it. It belongs to Run's
// goroutine.
type popup struct {
	running bool                 // StartPopup has not returned
	current *subscription        // attached, else nil
	served  bool                 // the running process has attached
	first   string               // what the process that was started opens by itself
	opens   []open               // wait until one attaches
	handed  []handed             // what the process before was asked for last
	again   map[string]time.Time // when a request was last given to a second process
}

const (
	// handedFor is how long before its end a window process may have been asked
	// for a window and not have shown it.
	handedFor = 500 * time.Millisecond
	// againAfter keeps a window that brings every process down from being
	// asked for again and again.
	againAfter = 10 * time.Second
)

// open is a window to be opened, and who waits for it.
type open struct {
	peer   string
	answer chan error // has room for one answer
}

// Compose implements localapi.Engine. It returns when a window process has
// taken the request.
func (e *Engine) Compose(ctx context.Context, peer string) error {
	if peer != "" && peer != chat.FindSeveral {
		name, err := e.addressee(peer)
		if err != nil {
			return err
		}
		peer = name
	}
	ctx, cancel := context.WithTimeout(ctx, composeLimit)
	defer cancel()
	o := open{peer: peer, answer: make(chan error, 1)}
	if err := e.ask(ctx, act(func() { e.open(o) })); err != nil {
		return err
	}
	select {
	case err := <-o.answer:
		return err
	case <-e.done:
		return e.ending()
	case <-ctx.Done():
		return e.sentence(localapi.CodeFailed, "EnginePopupSlow")
	}
}

// open hands a request to the window process, or starts one.
func (e *Engine) open(o open) {
	if s := e.popup.current; s != nil {
		e.mu.Lock()
		s.openLocked(o.peer)
		e.mu.Unlock()
		o.answer <- nil
		return
	}
	if e.config.StartPopup == nil {
		o.answer <- e.sentence(localapi.CodeFailed, "EngineNoPopup")
		return
	}
	e.popup.opens = append(e.popup.opens, o)
	e.startPopup()
}

// startPopup starts the window process with the first waiting request, unless
// it is on its way already.
func (e *Engine) startPopup() {
	if e.popup.running || len(e.popup.opens) == 0 || e.work.Err() != nil {
		return
	}
	first := e.popup.opens[0].peer
	e.popup.running, e.popup.served, e.popup.first = true, false, first
	e.workers.Go(func() {
		err := e.config.StartPopup(e.work, first)
		e.post(act(func() { e.popupEnded(err) }))
	})
}

// attached makes a subscriber the one that opens windows.
func (e *Engine) attached(s *subscription) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.ended {
		return // gone again
	}
	if e.work.Err() != nil {
		s.endLocked()
		return
	}
	e.popup.current, e.popup.served = s, true
	own := e.popup.running
	for _, o := range e.popup.opens {
		if !own || o.peer != e.popup.first {
			s.openLocked(o.peer)
		}
		o.answer <- nil
	}
	e.popup.opens = nil
}

// detached takes back what a window process that is leaving did not get to.
func (e *Engine) detached(s *subscription) {
	if e.popup.current != s {
		return
	}
	e.popup.current = nil
	e.mu.Lock()
	lost := s.opens
	e.popup.handed = s.handed
	s.opens, s.handed = nil, nil
	e.mu.Unlock()
	for _, peer := range lost {
		e.popup.opens = append(e.popup.opens, open{peer: peer, answer: make(chan error, 1)})
	}
	if e.config.StartPopup != nil {
		e.startPopup()
	}
}

// popupEnded is the end of the process. Requests that came while it was
// leaving start the next one; if it failed, they fail with it.
func (e *Engine) popupEnded(err error) {
	e.popup.running = false
	switch {
	case e.work.Err() != nil:
		err = e.ending()
	case e.popup.served:
		if err != nil {
			e.log.Warn("the popup ended", "error", err)
			e.askAgain()
		}
		e.startPopup()
		return
	case err == nil:
		err = e.sentence(localapi.CodeFailed, "EnginePopupSlow")
	default:
		e.log.Warn("the popup ended", "error", err)
		err = e.sentence(localapi.CodeFailed, "EnginePopupFailed", "Reason", err.Error())
	}
	for _, o := range e.popup.opens {
		o.answer <- err
	}
	e.popup.opens = nil
}

// askAgain takes back what a window process that crashed was asked for a moment
// before, and cannot have shown for long.
func (e *Engine) askAgain() {
	if s := e.popup.current; s != nil {
		e.detached(s) // its connection has not been missed yet
	}
	now := time.Now()
	for _, h := range e.popup.handed {
		if now.Sub(h.at) > handedFor || now.Sub(e.popup.again[h.peer]) <= againAfter {
			continue
		}
		e.popup.again[h.peer] = now
		e.popup.opens = append(e.popup.opens, open{peer: h.peer, answer: make(chan error, 1)})
	}
	e.popup.handed = nil
}

// endPopups tells the window process that the engine is ending, so that it
// ends too: Run waits for it, and takes what it still sends.
func (e *Engine) endPopups() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.subs {
		if s.role == localapi.Popup {
			s.endLocked()
		}
	}
}
