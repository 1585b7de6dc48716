package client_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p"
	"earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/tray/client"
	"earshot/tray/i18n"
	"earshot/tray/store"
)

// world is a coordinator and the network between engines, in memory and fake
// time. Its connections deliver in order; acknowledgements come in any order,
// and a connection that breaks leaves it open what has arrived.
type world struct {
	t *testing.T

	mu    sync.Mutex
	rng   *rand.Rand
	rough bool // connections break
	homes []*home

	departments map[string]string // by name
	classic     map[string]bool   // who shows no devices
}

// home is one device with its store, which outlives its engine.
type home struct {
	w     *world
	name  string
	label string
	key   identity.Key
	path  string
	// Under w.mu.
	endorsements []p2p.Endorsement
	node         *node

	change func(*client.Config)
	engine *client.Engine
	store  *store.Store
	cancel context.CancelFunc
	ended  chan struct{}
}

// node is one run of a home's engine, as the network sees it.
type node struct {
	home   *home
	events chan p2p.Event
	links  map[identity.PublicKey]*link
	dead   bool
	done   chan struct{}
	tasks  sync.WaitGroup
}

type link struct {
	from    *node
	to      *home
	pending chan *parcel
	unacked []*parcel
	untold  int
}

type parcel struct {
	item p2p.Item
	done func(error)
	over bool
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), departments: make(map[string]string), classic: make(map[string]bool),
	}
}

// home adds a device to the account of a name, for which its others vouch.
func (w *world) home(name, label string) *home { return w.add(name, label, true) }

func (w *world) add(name, label string, vouched bool) *home {
	h := &home{w: w, name: name, label: label, key: identity.NewKey(), path: filepath.Join(w.t.TempDir(), "h.db")}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, other := range w.homes {
		if other.name == name && vouched {
			h.endorsements = append(h.endorsements, p2p.Endorsement{
				By: other.key.Public(), Signature: other.key.Endorse(classic.NameKey(name), h.key.Public()),
			})
		}
	}
	w.homes = append(w.homes, h)
	w.accountChangedLocked(name, h)
	return h
}

// personLocked is an account's entry on the roster.
func (w *world) personLocked(name string) (p p2p.Person, online bool) {
	p.Name, p.Status.Department = name, w.departments[name]
	for _, h := range w.homes {
		if h.name != name {
			continue
		}
		online = online || h.node != nil
		if !w.classic[name] {
			p.Devices = append(p.Devices, p2p.Device{
				Key: h.key.Public(), Label: h.label, Online: h.node != nil, Endorsements: h.endorsements,
			})
		}
	}
	return p, online
}

// accountChangedLocked tells everyone but one home of an account.
func (w *world) accountChangedLocked(name string, except *home) {
	p, online := w.personLocked(name)
	for _, h := range w.homes {
		switch {
		case h == except || h.node == nil:
		case h.name == name:
			h.node.events <- p2p.SelfChanged{Person: p}
		case online:
			h.node.events <- p2p.Came{Person: p}
		default:
			h.node.events <- p2p.Left{Name: name}
		}
	}
}

// start runs the engine of a home.
func (h *home) start() {
	h.w.t.Helper()
	var err error
	if h.store, err = store.Open(h.w.t.Context(), h.path); err != nil {
		h.w.t.Fatal(err)
	}
	n := &node{home: h, events: make(chan p2p.Event, 10_000), links: make(map[identity.PublicKey]*link), done: make(chan struct{})}
	config := client.Config{
		Transport: n, Store: h.store, Printer: i18n.New("en"), Name: h.name, Server: "coordinator", Version: "test",
		Device: h.key.Public(),
	}
	if h.change != nil {
		h.change(&config)
	}
	if h.engine, err = client.New(h.w.t.Context(), config); err != nil {
		h.w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel, h.ended = cancel, make(chan struct{})
	engine, ended := h.engine, h.ended
	go func() { engine.Run(ctx); close(ended) }()
}

// stop ends the engine of a home, if one runs.
func (h *home) stop() {
	if h.cancel == nil {
		return
	}
	h.cancel()
	<-h.ended
	h.cancel = nil
	if err := h.store.Close(); err != nil {
		h.w.t.Error(err)
	}
}

func (h *home) restart() { h.stop(); h.start() }

// Run is the login: it tells the engine of the others and the others of it.
func (n *node) Run(ctx context.Context, on func(p2p.Event)) error {
	w, h := n.home.w, n.home
	w.mu.Lock()
	h.node = n
	self, _ := w.personLocked(h.name)
	var roster []p2p.Person
	for _, other := range w.homes {
		p, online := w.personLocked(other.name)
		if online && other.name != h.name && !slices.ContainsFunc(roster, func(r p2p.Person) bool { return r.Name == p.Name }) {
			roster = append(roster, p)
		}
	}
	w.accountChangedLocked(h.name, h)
	w.mu.Unlock()
	on(p2p.Connected{Server: "coordinator", Self: self, Roster: roster, Secure: true})
	for {
		select {
		case e := <-n.events:
			on(e)
			continue
		case <-ctx.Done():
		}
		break
	}
	n.leave()
	close(n.done)
	n.tasks.Wait()
	return nil
}

// leave takes the node off the network.
func (n *node) leave() {
	w := n.home.w
	w.mu.Lock()
	defer w.mu.Unlock()
	n.dead = true
	if n.home.node == n {
		n.home.node = nil
		w.accountChangedLocked(n.home.name, n.home)
	}
	for _, l := range n.links {
		w.breakLocked(l, p2p.ErrNotConnected)
	}
	// What was on its way to the node is not known to have arrived.
	for _, h := range w.homes {
		if h.node != nil && h.node.links[n.home.key.Public()] != nil {
			w.breakLocked(h.node.links[n.home.key.Public()], p2p.ErrUnreachable)
		}
	}
}

// crash is a power cut: nothing that the engine does from now on has an effect.
func (n *node) crash() {
	w := n.home.w
	w.mu.Lock()
	n.dead = true
	w.mu.Unlock()
	n.leave()
}

// breakLocked ends a connection. Nothing more arrives through it, and the sender
// learns so of one item after the other, in any order; there is no new
// connection before the last.
func (w *world) breakLocked(l *link, err error) {
	for _, p := range l.unacked {
		if p.over {
			continue
		}
		p.over = true
		delay := time.Duration(w.rng.Int64N(int64(6 * time.Second)))
		if !w.rough {
			delay = 0
		}
		l.untold++
		l.from.tasks.Go(func() {
			select {
			case <-time.After(delay):
			case <-l.from.done:
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			l.untold--
			p.done(err)
		})
	}
	l.unacked = nil
}

// Send puts an item on the link to a device.
func (n *node) Send(to p2p.Target, item p2p.Item, done func(error)) {
	w := n.home.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if to.Device == (identity.PublicKey{}) {
		n.talkLocked(to.Person.Name, item, done)
		return
	}
	i := slices.IndexFunc(w.homes, func(h *home) bool { return h.key.Public() == to.Device })
	if i < 0 || n.dead || w.homes[i].node == nil || w.homes[i].name != to.Person.Name {
		done(p2p.ErrUnreachable)
		return
	}
	l := n.links[to.Device]
	if l == nil {
		l = &link{from: n, to: w.homes[i], pending: make(chan *parcel, 10_000)}
		n.links[to.Device] = l
		n.tasks.Go(func() { n.carry(l) })
	}
	if l.untold > 0 {
		done(p2p.ErrUnreachable)
		return
	}
	p := &parcel{item: item, done: done}
	l.unacked = append(l.unacked, p)
	l.pending <- p
}

// talkLocked carries a text by the classic protocol, which proves nothing.
func (n *node) talkLocked(name string, item p2p.Item, done func(error)) {
	for _, h := range n.home.w.homes {
		if h.name == name && h.node != nil {
			h.node.events <- p2p.Received{From: n.home.name, Item: p2p.Item{At: item.At, Body: item.Body}, Known: true}
			done(nil)
			return
		}
	}
	done(p2p.ErrUnreachable)
}

// carry delivers what is on a link, in order.
func (n *node) carry(l *link) {
	w := n.home.w
	for {
		var p *parcel
		select {
		case p = <-l.pending:
		case <-n.done:
			return
		}
		time.Sleep(w.upTo(20 * time.Millisecond))
		w.mu.Lock()
		if w.rough && w.rng.IntN(20) == 0 {
			w.breakLocked(l, p2p.ErrUnreachable)
		}
		if !p.over && !n.dead {
			if to := l.to.node; to == nil {
				w.breakLocked(l, p2p.ErrUnreachable)
			} else {
				to.events <- p2p.Received{
					From: n.home.name, Device: n.home.key.Public(), Item: p.item, Known: true,
					Done: func(err error) { n.tasks.Go(func() { n.acknowledged(l, to, p, err) }) },
				}
			}
		}
		w.mu.Unlock()
	}
}

// acknowledged carries back what the receiver said, if nothing breaks.
func (n *node) acknowledged(l *link, from *node, p *parcel, err error) {
	w := n.home.w
	time.Sleep(w.upTo(50 * time.Millisecond))
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case p.over:
	case from.dead || w.rough && w.rng.IntN(20) == 0 || err != nil && !errors.Is(err, p2p.ErrRefusedItem):
		w.breakLocked(l, p2p.ErrUnreachable)
	default:
		p.over = true
		l.unacked = slices.DeleteFunc(l.unacked, func(other *parcel) bool { return other == p })
		p.done(err)
	}
}

func (w *world) upTo(most time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Duration(w.rng.Int64N(int64(most)))
}

func (n *node) SendToAll(context.Context, string) error { return p2p.ErrNotSupported }

func (n *node) Typing(to p2p.Target, active bool) {
	w := n.home.w
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.homes {
		if h.key.Public() == to.Device && h.node != nil {
			h.node.events <- p2p.Typing{From: n.home.name, Active: active}
		}
	}
}

func (n *node) SetStatus(p2p.Status) {}

func (n *node) OfferJoin() (identity.JoinCode, time.Time, error) {
	return identity.JoinCode{1}, time.Now().Add(time.Minute), nil
}

func (n *node) RemoveDevice(_ context.Context, device identity.PublicKey) error {
	w := n.home.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.homes = slices.DeleteFunc(w.homes, func(h *home) bool { return h.key.Public() == device })
	w.accountChangedLocked(n.home.name, nil)
	return nil
}

// until lets time pass until something holds.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	for range 5000 {
		synctest.Wait()
		if holds() {
			return
		}
		w.pass()
	}
	w.t.Fatalf("never came: %s", what)
}

// pass lets some time pass.
func (w *world) pass() {
	settle(100 * time.Millisecond)
	synctest.Wait()
}

func (w *world) calm(rough bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rough = rough
}

// stopAll ends every engine.
func (w *world) stopAll() {
	w.mu.Lock()
	homes := slices.Clone(w.homes)
	w.mu.Unlock()
	for _, h := range homes {
		h.stop()
	}
}

// inWorld runs a test in fake time.
func inWorld(t *testing.T, seed uint64, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed)
		defer w.stopAll()
		test(t, w)
	})
}

// settle lets fake time pass.
func settle(d time.Duration) { time.Sleep(d) }
