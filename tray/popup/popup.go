// Package popup is the short-lived process that shows compose windows and the
// Find window. It is a client of the local API like any other: it subscribes
// with the role Popup, shows a window for each conversation that it is asked
// to open, and ends when the last one is closed. All windows live in the one
// process, so only the first costs a start.
package popup

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
	"earshot/tray/popup/model"
	"earshot/tray/popup/ui"
)

// started is when the process began, as far as it can tell.
var started = time.Now()

// TraceVariable is the environment variable that, set to 1, makes Run log how
// many milliseconds after the process began its first window could be seen and
// typed into.
const TraceVariable = "EARSHOT_POPUP_TRACE"

// callLimit bounds a call of the engine, so that the process ends even if the
// engine hangs.
const callLimit = 15 * time.Second

// Engine is what the popup needs of the client's engine; a localapi client has
// it. Errors read as sentences.
type Engine interface {
	History(ctx context.Context, peer string, before int64, limit int) ([]chat.Message, error)
	Send(ctx context.Context, draft chat.Draft, wait bool) (chat.Message, error)
	Retry(ctx context.Context, id int64) error
	Draft(ctx context.Context, peer string) (chat.Draft, error)
	KeepDraft(ctx context.Context, draft chat.Draft) error
	Edit(ctx context.Context, id int64, text string) error
	Delete(ctx context.Context, id int64) error
	Acknowledge(ctx context.Context, id int64) error
	Typing(peer string, active bool)
	Safety(ctx context.Context, peer string) (chat.Safety, error)
	Trust(ctx context.Context, peer string, action chat.TrustAction) error
	MarkRead(ctx context.Context, peer string) error
	SetSetting(ctx context.Context, name string, value any) error
	Subscribe(role localapi.Role) localapi.Subscription
}

// Sizes remembers windows' sizes, as width and height by the kind of window. A
// profile does.
type Sizes interface {
	WindowSizes() map[string][2]int
	KeepWindowSizes(sizes map[string][2]int) error
}

// Run shows the window of the conversation with first, or the Find window if
// first is empty, and all others that the engine asks for, until the last one
// is closed, the engine ends or ctx is done. What has been sent by then is
// handed to the engine before Run returns. It is called from the main
// goroutine, once in a process. If sizes is nil, none are remembered. Its error
// reads as a sentence.
func Run(ctx context.Context, engine Engine, p *i18n.Printer, sizes Sizes, first string) error {
	toolkit, err := newToolkit(p)
	if err != nil {
		return err
	}
	return run(ctx, engine, p, toolkit, sizes, first)
}

func run(ctx context.Context, engine Engine, p *i18n.Printer, toolkit ui.Toolkit, sizes Sizes, first string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &app{
		engine:  engine,
		p:       p,
		toolkit: toolkit,
		quit:    cancel,
		live:    ctx,
		ctx:     context.WithoutCancel(ctx),
		talks:   make(map[string]*model.Conversation),
		trace:   os.Getenv(TraceVariable) == "1",
		sizes:   places{store: sizes},
	}
	a.sizes.load()
	toolkit.Post(func() { a.Open(first) })
	sub := engine.Subscribe(localapi.Popup)
	var listener sync.WaitGroup
	listener.Go(func() { a.listen(ctx, sub) })
	err := toolkit.Run(ctx, func() { a.Trace("toolkit started") })
	for _, talk := range a.talks { // closed by nobody
		talk.Keep()
	}
	a.sizes.keep()
	cancel()
	sub.Close()
	listener.Wait()
	a.calls.Wait()
	return errors.Join(err, a.failure)
}

// app is the process's windows and its line to the engine. Its fields belong
// to the toolkit's thread, apart from calls, which waits for goroutines. It
// implements model.Work.
type app struct {
	// live ends with the windows. ctx is that of calls which are finished
	// even then.
	live, ctx context.Context

	engine  Engine
	p       *i18n.Printer
	toolkit ui.Toolkit
	quit    func()
	trace   bool
	sizes   places

	world   model.World
	talks   map[string]*model.Conversation // by peer
	find    *model.Find
	failure error // why a window could not be made
	unsent  int   // sends under way
	traced  map[string]bool
	calls   sync.WaitGroup
	sends   serial
	signs   serial // of typing
}

// listen brings the engine's events to the toolkit's thread.
func (a *app) listen(ctx context.Context, sub localapi.Subscription) {
	for {
		event, err := sub.Next(ctx)
		switch {
		case err == nil:
			a.toolkit.Post(func() { a.event(event) })
		case ctx.Err() != nil:
			return
		case errors.Is(err, io.EOF):
			// The person ended Earshot: its windows go with it.
			a.quit()
			return
		default:
			// It crashed. What is being written must not vanish with it.
			a.toolkit.Post(a.ended)
			return
		}
	}
}

func (a *app) event(event chat.Event) {
	if event.Type == chat.EventOpen {
		a.Open(event.Peer)
		return
	}
	changed := a.world.Apply(event)
	for _, talk := range a.talks {
		talk.Event(event)
	}
	if changed && a.find != nil {
		a.find.Refresh()
	}
}

func (a *app) ended() {
	a.world.Ended = true
	for _, talk := range a.talks {
		talk.Refresh()
	}
}

// Open shows the window for peer, or the Find window if peer is empty or
// chat.FindSeveral. One that is open already is raised. It implements
// model.Work.
func (a *app) Open(peer string) {
	var err error
	if peer == "" || peer == chat.FindSeveral {
		err = a.openFind(peer == chat.FindSeveral)
	} else {
		_, err = a.openTalk(peer)
	}
	if err != nil {
		a.failure = err
		a.leave()
	}
}

func (a *app) openFind(several bool) error {
	if a.find == nil {
		find := model.NewFind(&a.world, a, a.p, func() {
			a.find = nil
			a.leave()
		})
		view, err := a.toolkit.NewFind(find.Spec(), find)
		if err != nil {
			return err
		}
		find.Attach(view)
		a.find = find
	}
	if several {
		a.find.Several()
	}
	a.find.Present()
	return nil
}

func (a *app) openTalk(peer string) (*model.Conversation, error) {
	if person, ok := a.world.Person(peer); ok {
		peer = person.Name
	}
	for name, talk := range a.talks {
		if model.SamePeer(name, peer) {
			talk.Present()
			return talk, nil
		}
	}
	talk := model.NewConversation(peer, &a.world, a, a.p, func() {
		delete(a.talks, peer)
		a.leave()
	})
	view, err := a.toolkit.NewConversation(talk.Spec(), talk)
	if err != nil {
		return nil, err
	}
	talk.Attach(view)
	a.talks[peer] = talk
	talk.Present()
	return talk, nil
}

// leave ends the process once nothing is shown and nothing is unsent. It looks
// after what is posted already, as a Find window that closes opens another.
func (a *app) leave() {
	a.sizes.keep()
	a.toolkit.Post(func() {
		if len(a.talks) == 0 && a.find == nil && a.unsent == 0 {
			a.quit()
		}
	})
}

// History implements model.Work.
func (a *app) History(peer string, limit int, then func([]chat.Message, error)) {
	call(a, func(ctx context.Context) ([]chat.Message, error) {
		// Nobody waits for it once the windows are gone.
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(a.live, cancel)()
		return a.engine.History(ctx, peer, 0, limit)
	}, then)
}

// Send implements model.Work. Messages leave in the order in which they were
// written. A text that the engine did not take goes back to its window, which
// is opened again if it has been closed.
func (a *app) Send(draft chat.Draft, then func(chat.Message, error)) {
	a.unsent++
	a.sends.add(&a.calls, func() {
		ctx, cancel := context.WithTimeout(a.ctx, callLimit)
		defer cancel()
		message, err := a.engine.Send(ctx, draft, false)
		a.toolkit.Post(func() {
			a.unsent--
			then(message, err)
			if err != nil {
				a.restore(draft.To, draft.Text, err)
			}
			a.leave()
		})
	})
}

func (a *app) restore(peer, text string, problem error) {
	talk, err := a.openTalk(peer)
	if err != nil {
		a.failure = errors.Join(problem, err)
		return
	}
	talk.Restore(text, problem)
}

// Draft implements model.Work.
func (a *app) Draft(peer string, then func(chat.Draft, error)) {
	a.sends.add(&a.calls, func() {
		ctx, cancel := context.WithTimeout(a.ctx, callLimit)
		defer cancel()
		draft, err := a.engine.Draft(ctx, peer)
		a.toolkit.Post(func() { then(draft, err) })
	})
}

// KeepDraft implements model.Work.
func (a *app) KeepDraft(draft chat.Draft, then func(error)) {
	a.sends.add(&a.calls, func() {
		ctx, cancel := context.WithTimeout(a.ctx, callLimit)
		defer cancel()
		err := a.engine.KeepDraft(ctx, draft)
		a.toolkit.Post(func() { then(err) })
	})
}

// Later implements model.Work.
func (a *app) Later(d time.Duration, f func()) (stop func()) {
	stopped := false // read and written on the toolkit's thread
	timer := time.AfterFunc(d, func() {
		a.toolkit.Post(func() {
			if !stopped {
				f()
			}
		})
	})
	return func() {
		stopped = true
		timer.Stop()
	}
}

// Favourite implements model.Work.
func (a *app) Favourite(peer string, on bool, then func(error)) {
	do(a, func(ctx context.Context) error { return a.engine.SetSetting(ctx, "people."+peer+".favourite", on) }, then)
}

// What follows implements model.Work by calls of the engine of the same name.

func (a *app) Retry(id int64, then func(error)) {
	do(a, func(ctx context.Context) error { return a.engine.Retry(ctx, id) }, then)
}

func (a *app) Edit(id int64, text string, then func(error)) {
	do(a, func(ctx context.Context) error { return a.engine.Edit(ctx, id, text) }, then)
}

func (a *app) Delete(id int64, then func(error)) {
	do(a, func(ctx context.Context) error { return a.engine.Delete(ctx, id) }, then)
}

func (a *app) Acknowledge(id int64, then func(error)) {
	do(a, func(ctx context.Context) error { return a.engine.Acknowledge(ctx, id) }, then)
}

func (a *app) Trust(peer string, action chat.TrustAction, then func(error)) {
	do(a, func(ctx context.Context) error { return a.engine.Trust(ctx, peer, action) }, then)
}

func (a *app) MarkRead(peer string, then func(error)) {
	do(a, func(ctx context.Context) error { return a.engine.MarkRead(ctx, peer) }, then)
}

func (a *app) Safety(peer string, then func(chat.Safety, error)) {
	call(a, func(ctx context.Context) (chat.Safety, error) { return a.engine.Safety(ctx, peer) }, then)
}

// Typing keeps the order of the calls: that somebody has stopped must not
// overtake that somebody began.
func (a *app) Typing(peer string, active bool) {
	a.signs.add(&a.calls, func() { a.engine.Typing(peer, active) })
}

// Size implements model.Work.
func (a *app) Size(kind string) ui.Size { return a.sizes.of(kind) }

// Resized implements model.Work.
func (a *app) Resized(kind string, size ui.Size) { a.sizes.set(kind, size) }

// Now implements model.Work.
func (a *app) Now() time.Time { return time.Now() }

// Trace implements model.Work: it logs what is reached for the first time.
func (a *app) Trace(what string) {
	if !a.trace || a.traced[what] {
		return
	}
	if a.traced == nil {
		a.traced = make(map[string]bool)
	}
	a.traced[what] = true
	slog.Info("popup reached", "what", what, "ms", float64(time.Since(started).Microseconds())/1000)
}

// call calls the engine on a goroutine and hands the answer to the toolkit's
// thread.
func call[T any](a *app, f func(context.Context) (T, error), then func(T, error)) {
	a.calls.Go(func() {
		ctx, cancel := context.WithTimeout(a.ctx, callLimit)
		defer cancel()
		answer, err := f(ctx)
		a.toolkit.Post(func() { then(answer, err) })
	})
}

// do is call for what has no answer.
func do(a *app, f func(context.Context) error, then func(error)) {
	call(a, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) }, func(_ struct{}, err error) { then(err) })
}

// serial runs functions one after the other, in the order of the calls of add,
// on a goroutine that is there while there is something to run.
type serial struct {
	mu      sync.Mutex
	waiting []func()
	running bool
}

func (s *serial) add(group *sync.WaitGroup, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, f)
	if s.running {
		return
	}
	s.running = true
	group.Go(func() {
		for {
			s.mu.Lock()
			if len(s.waiting) == 0 {
				s.running = false
				s.mu.Unlock()
				return
			}
			next := s.waiting[0]
			s.waiting = s.waiting[1:]
			s.mu.Unlock()
			next()
		}
	})
}
