// Package client is the engine of the background process: it mirrors the
// roster, keeps the conversations, and sends what waits in the outbox. It sees
// the network only as a p2p.Transport.
package client

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/tray/chat"
	"earshot/tray/i18n"
	"earshot/tray/localapi"
	"earshot/tray/settings"
	"earshot/tray/store"
)

// Store is what the engine needs of the message database; *store.Store is one.
type Store interface {
	Apply(ctx context.Context, changes ...store.Change) error
	Conversations(ctx context.Context, limit int) ([]store.Conversation, error)
	Outbox(ctx context.Context) (store.Outbox, error)
	People(ctx context.Context) ([]store.Known, error)
	Own(ctx context.Context) (own chat.OwnStatus, ok bool, err error)
	Message(ctx context.Context, id int64) (store.Row, error)
	Unread(ctx context.Context, peer string) ([]store.Row, error)
	Recipients(ctx context.Context, id int64) ([]chat.Recipient, error)
	History(ctx context.Context, peer string, before int64, limit int) ([]chat.Message, error)
	Search(ctx context.Context, q chat.Query) ([]chat.Message, error)
	Settle(ctx context.Context) error
	Draft(ctx context.Context, peer string) (chat.Draft, error)
}

// Limits.
const (
	// MaxText is the longest text that can be sent by the classic protocol, in
	// bytes. By the secure one it is p2p.MaxText.
	MaxText = 256 << 10
	// MaxSeveral is how many people one message can be addressed to by name.
	MaxSeveral = 200
	// MaxHistory is how many messages History and Search return at most.
	MaxHistory = 1000

	conversationsShown = 500    // on the roster, of people who are offline
	peopleRemembered   = 10_000 // offline and without a conversation
	inboxSize          = 256
	batchSize          = 128 // changes that share one wait for the disk
	eventsQueued       = 512 // per subscriber
	storeLimit         = 30 * time.Second
	composeLimit       = 15 * time.Second
)

// Config is what New needs.
type Config struct {
	Transport p2p.Transport
	Store     Store
	Printer   *i18n.Printer
	// Name and Server are what the status shows until the first login.
	Name, Server string
	Version      string
	// Device is this device's own key; zero if there is only the classic
	// protocol.
	Device identity.PublicKey
	// Settings are the person's; nil are the defaults, which can be changed
	// until the end.
	Settings *settings.Live
	// Status is what the person says of itself until it says something else,
	// which the store remembers.
	Status chat.OwnStatus
	// StartPopup runs the popup process, which opens the window for peer
	// first, until it has ended. It is called again only after it returned.
	// Its error reads as a sentence. If it is nil there are no windows.
	StartPopup func(ctx context.Context, peer string) error
	// Seat is what Status says of it.
	Seat string
	// Page returns a link to a page for the browser; nil is a client without.
	Page func(name string) (url string, err error)
	// Log takes what a person need not see; nil drops it.
	Log *slog.Logger
}

// Engine implements localapi.Engine.
//
// The goroutine of Run is the only one that changes the roster, what is known
// of people, the conversations and the outbox; everyone else sends it an input,
// and it writes what the inputs of one round change to the store in one go,
// before anyone is told. What others read is under mu, which is never held
// while waiting for the disk or the network.
type Engine struct {
	config Config
	p      *i18n.Printer
	log    *slog.Logger

	inbox    chan input
	results  results
	quit     chan struct{}
	quitOnce sync.Once
	done     chan struct{} // closed when Run has ended

	mu      sync.Mutex
	status  chat.Status
	self    string // folded name
	people  map[string]*person
	known   map[string]store.Known // by folded name; the own account's under ""
	liked   map[string]bool        // favourites, by folded name
	mine    account
	waiting map[int64]*waiting // of messages that wait here
	unread  int
	subs    map[*subscription]struct{}
	ended   bool

	// Owned by Run's goroutine.
	server    string                                  // the coordinator, as a person reads it
	lanes     map[string]map[identity.PublicKey]*lane // by person
	texts     map[int64][]*outItem                    // on their way, by message
	waiters   map[int64][]chan chat.Message
	news      news
	popup     popup
	everOn    bool // was Connected
	away      bool // AutoAway
	strangers strangerLimit
	timer     *time.Timer
	wakeAt    time.Time // when timer fires; zero if it doesn't
	expireAt  time.Time
	forgetAt  time.Time // when messages that are too old are looked for
	workers   sync.WaitGroup
	work      context.Context // ends when Run should
}

// person is somebody whom the engine knows of, by folded name.
type person struct {
	p2p.Person
	online bool
	talked bool // there is a conversation
	unread int
	last   time.Time
	trust  chat.Trust
	fresh  []p2p.Device // what TrustChanged is about
	typing time.Time    // until when

	routes      map[identity.PublicKey]p2p.Route // of the devices with which there is a session
	route       chat.Route                       // the last one
	unreachable string                           // why there is none, if that is of any interest
}

// account is the own one.
type account struct {
	devices []p2p.Device
	trust   chat.Trust
	fresh   []p2p.Device
}

// input is something for Run's goroutine. prepare returns what is to be
// stored; commit is called when that has happened, or could not (err).
type input struct {
	prepare func() []store.Change
	commit  func(err error)
	// alone says that it shares its round with no other input, because what
	// others prepare depends on it.
	alone bool
}

var _ localapi.Engine = (*Engine)(nil)

// New returns an engine that knows what the store holds and does nothing until
// Run. An error is the store's.
func New(ctx context.Context, config Config) (*Engine, error) {
	e := &Engine{
		config:  config,
		p:       config.Printer,
		log:     config.Log,
		inbox:   make(chan input, inboxSize),
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
		results: results{ready: make(chan struct{}, 1)},
		people:  make(map[string]*person),
		known:   make(map[string]store.Known),
		waiting: make(map[int64]*waiting),
		subs:    make(map[*subscription]struct{}),
		lanes:   make(map[string]map[identity.PublicKey]*lane),
		texts:   make(map[int64][]*outItem),
		waiters: make(map[int64][]chan chat.Message),
		news:    news{dirty: make(map[int64]bool), changed: make(map[int64]chat.Message)},
		popup:   popup{again: make(map[string]time.Time)},
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if config.Settings == nil {
		var err error
		if e.config.Settings, err = settings.Open(none{}, settings.Policy{}, nil); err != nil {
			return nil, err
		}
	}
	e.self, e.server = key(config.Name), config.Server
	e.status = chat.Status{
		Connection: chat.Connecting, Name: config.Name, Server: config.Server,
		Language: e.p.Tag().String(), Version: config.Version, Own: normalOwn(config.Status),
		Seat: config.Seat,
	}
	e.likes()
	if err := e.load(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// Run runs the engine until ctx ends or Quit is called; it then logs out and
// tells every subscriber that it has ended. It may be called once.
func (e *Engine) Run(ctx context.Context) {
	defer e.end()
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	e.work = work
	var idle sync.WaitGroup
	idle.Go(func() {
		select {
		case <-e.quit:
			cancel()
		case <-work.Done():
		}
	})
	defer idle.Wait()
	e.timer = time.NewTimer(0)
	defer e.timer.Stop()
	e.config.Transport.SetStatus(e.effective())
	if gated, ok := e.config.Transport.(p2p.Gated); ok {
		gated.AskBefore(e.admits)
	}
	e.workers.Go(func() {
		if err := e.config.Transport.Run(work, e.transport); err != nil {
			e.log.Error("the network gave up", "error", err)
		}
	})
	e.loop(work)
}

// loop handles inputs. After the end it goes on until nobody works any more,
// so that nobody blocks and what was sent is stored as sent.
func (e *Engine) loop(work context.Context) {
	over := work.Done()
	var finished chan struct{}
	for {
		select {
		case in := <-e.inbox:
			e.rounds(in)
		case <-e.results.ready:
			e.rounds(e.resultsInput())
		case <-e.timer.C:
			e.rounds(e.wake())
			e.quieten()
			if now().Before(e.forgetAt) {
				e.wakeBy(e.forgetAt)
			} else {
				e.rounds(e.forgetInput())
			}
		case <-over:
			over = nil
			e.endPopups()
			finished = make(chan struct{})
			go func() { e.workers.Wait(); close(finished) }()
		case <-finished:
			for {
				select {
				case in := <-e.inbox:
					e.rounds(in)
				case <-e.results.ready:
					e.rounds(e.resultsInput())
				default:
					return
				}
			}
		}
	}
}

// rounds takes what waits in the inbox, in rounds.
func (e *Engine) rounds(first input) {
	for next := &first; next != nil; {
		next = e.round(*next)
		e.flush()
	}
}

// round takes what waits in the inbox, stores all of its changes at once and
// then lets each input go on. It returns an input that needs a round of its
// own, if it came upon one.
func (e *Engine) round(first input) (next *input) {
	inputs, parts := []input{first}, [][]store.Change{first.prepare()}
	var all []store.Change
	all = append(all, parts[0]...)
	for !first.alone && len(all) < batchSize && len(inputs) < inboxSize {
		// What follows may depend on what an input without a change did.
		if len(parts[len(parts)-1]) == 0 {
			break
		}
		select {
		case in := <-e.inbox:
			if in.alone {
				next = &in
				break
			}
			changes := in.prepare()
			inputs, parts, all = append(inputs, in), append(parts, changes), append(all, changes...)
			continue
		default:
		}
		break
	}
	// What was begun is finished even if the client is ending.
	ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
	defer cancel()
	var err error
	if len(all) > 0 {
		err = e.config.Store.Apply(ctx, all...)
	}
	for i, in := range inputs {
		failed := err
		if failed != nil && len(inputs) > 1 && len(parts[i]) > 0 {
			// One that can't be stored must not take the others with it.
			failed = e.config.Store.Apply(ctx, parts[i]...)
		}
		if len(parts[i]) == 0 {
			failed = nil
		}
		if failed != nil {
			e.log.Error("a change could not be stored", "error", failed)
		}
		in.commit(failed)
	}
	return next
}

// post hands an input to Run's goroutine. Workers, for whom Run waits, may
// always post.
func (e *Engine) post(in input) { e.inbox <- in }

// ask hands an input to Run's goroutine for somebody outside, and reports
// whether the engine still takes any.
func (e *Engine) ask(ctx context.Context, in input) error {
	select {
	case <-e.done:
		return e.ending()
	default:
	}
	select {
	case e.inbox <- in:
		return nil
	case <-e.done:
		return e.ending()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do hands an input to Run's goroutine and waits until it is stored.
func (e *Engine) do(ctx context.Context, in input) error {
	commit, answer := in.commit, make(chan error, 1)
	in.commit = func(err error) { commit(err); answer <- err }
	if err := e.ask(ctx, in); err != nil {
		return err
	}
	select {
	case err := <-answer:
		if err != nil {
			return e.sentence(localapi.CodeFailed, "EngineSendNotStored")
		}
		return nil
	case <-e.done:
		return e.ending()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// act runs f on Run's goroutine.
func act(f func()) input {
	return input{prepare: func() []store.Change { return nil }, commit: func(error) { f() }, alone: true}
}

func (e *Engine) ending() error { return e.sentence(localapi.CodeEnded, "EngineEnding") }

func (e *Engine) sentence(code, id string, args ...any) error {
	return &localapi.Error{Code: code, Text: e.p.T(id, args...)}
}

// end tells everyone that nothing more comes.
func (e *Engine) end() {
	close(e.done)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	e.status.Connection = chat.Offline
	for s := range e.subs {
		s.endLocked()
	}
	clear(e.subs)
}

// Quit implements localapi.Engine.
func (e *Engine) Quit() {
	e.quitOnce.Do(func() {
		e.mu.Lock()
		e.publishLocked(chat.Event{Type: chat.EventQuit})
		e.mu.Unlock()
		close(e.quit)
	})
}
