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
	"earshot/tray/store"
)

// Store is what the engine needs of the message database; *store.Store is one.
type Store interface {
	Apply(ctx context.Context, changes ...store.Change) error
	Conversations(ctx context.Context, limit int) ([]store.Conversation, error)
	Outbox(ctx context.Context) ([]chat.Message, error)
	Message(ctx context.Context, id int64) (chat.Message, error)
	History(ctx context.Context, peer string, before int64, limit int) ([]chat.Message, error)
}

// Limits.
const (
	// MaxText is the longest text that can be sent, in bytes.
	MaxText = 256 << 10
	// MaxHistory is how many messages History returns at most.
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
	// ReadReceipts lets others know what the person has seen.
	ReadReceipts bool
	// Status is what the person says of itself until it says something else,
	// which the store remembers.
	Status chat.OwnStatus
	// StartPopup runs the popup process, which opens the window for peer
	// first, until it has ended. It is called again only after it returned.
	// Its error reads as a sentence. If it is nil there are no windows.
	StartPopup func(ctx context.Context, peer string) error
	// Log takes what a person need not see; nil drops it.
	Log *slog.Logger
}

// Engine implements localapi.Engine.
//
// The goroutine of Run is the only one that changes the roster, the
// conversations and the outbox; everyone else sends it an input, and it writes
// what the inputs of one round change to the store in one go, before anyone
// is told. What others read is under mu, which is never held while waiting for
// the disk or the network.
type Engine struct {
	config Config
	p      *i18n.Printer
	log    *slog.Logger

	inbox    chan input
	quit     chan struct{}
	quitOnce sync.Once
	done     chan struct{} // closed when Run has ended

	mu     sync.Mutex
	status chat.Status
	self   string // folded name
	people map[string]*person
	unread int
	subs   map[*subscription]struct{}
	ended  bool

	// Owned by Run's goroutine.
	outboxes  map[string]*outbox
	waiters   map[int64][]chan chat.Message
	popup     popup
	everOn    bool // was Connected
	strangers strangerLimit
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
}

// input is something for Run's goroutine. prepare returns what is to be
// stored; commit is called when that has happened, or could not (err).
type input struct {
	prepare func() []store.Change
	commit  func(err error)
}

var _ localapi.Engine = (*Engine)(nil)

// New returns an engine that knows what the store holds and does nothing until
// Run. An error is the store's.
func New(ctx context.Context, config Config) (*Engine, error) {
	e := &Engine{
		config:   config,
		p:        config.Printer,
		log:      config.Log,
		inbox:    make(chan input, inboxSize),
		quit:     make(chan struct{}),
		done:     make(chan struct{}),
		people:   make(map[string]*person),
		subs:     make(map[*subscription]struct{}),
		outboxes: make(map[string]*outbox),
		waiters:  make(map[int64][]chan chat.Message),
		popup:    popup{again: make(map[string]time.Time)},
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.self = key(config.Name)
	e.status = chat.Status{
		Connection: chat.Connecting, Name: config.Name, Server: config.Server,
		Language: e.p.Tag().String(), Version: config.Version,
	}
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
			e.round(in)
		case <-over:
			over = nil
			e.endPopups()
			finished = make(chan struct{})
			go func() { e.workers.Wait(); close(finished) }()
		case <-finished:
			for {
				select {
				case in := <-e.inbox:
					e.round(in)
				default:
					return
				}
			}
		}
	}
}

// round takes what waits in the inbox, stores all of its changes at once and
// then lets each input go on.
func (e *Engine) round(first input) {
	inputs, parts := []input{first}, [][]store.Change{first.prepare()}
	var all []store.Change
	all = append(all, parts[0]...)
	for len(all) < batchSize && len(inputs) < inboxSize {
		// What follows may depend on what an input without a change did.
		if len(parts[len(parts)-1]) == 0 {
			break
		}
		select {
		case in := <-e.inbox:
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

// act runs f on Run's goroutine.
func act(f func()) input {
	return input{prepare: func() []store.Change { return nil }, commit: func(error) { f() }}
}

func (e *Engine) ending() error { return e.sentence(localapi.CodeEnded, "EngineEnding") }

func (e *Engine) sentence(code, id string, args ...any) error {
	return &localapi.Error{Code: code, Sentence: e.p.T(id, args...)}
}

// load fills the conversations and the outbox from the store.
func (e *Engine) load(ctx context.Context) error {
	conversations, err := e.config.Store.Conversations(ctx, conversationsShown)
	if err != nil {
		return err
	}
	waiting, err := e.config.Store.Outbox(ctx)
	if err != nil {
		return err
	}
	for _, c := range conversations {
		e.people[key(c.Peer)] = &person{
			Person: p2p.Person{Name: c.Peer}, talked: true, unread: c.Unread, last: c.Last,
		}
		e.unread += c.Unread
	}
	e.status.Unread = e.unread
	for _, m := range waiting {
		e.personLocked(m.Peer).talked = true
		e.outbox(m.Peer).add(m)
	}
	return nil
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
func (e *Engine) Quit() { e.quitOnce.Do(func() { close(e.quit) }) }
