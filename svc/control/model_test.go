package control

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/engine"
	"earshot/svc/roster"
	"earshot/svc/rush"
)

// After any storm of logins, returns with what was known before, logouts,
// crashes, changes, readers who stop reading and floods that the log has
// forgotten, every client's own copy of the roster is the roster and that is
// who is there. On the way each client checks that no change is missing, comes
// twice or before its time (client.take). Then one more change reaches
// everybody within a round: no writer has slept through its wake-up.
func TestEveryMirrorIsTheRoster(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			inWorld(t, func(w *world) {
				m := &model{world: w, Rand: rand.New(rand.NewPCG(seed, 7))}
				for i := range modelDevices {
					m.devices = append(m.devices, &modelDevice{host: i, name: fmt.Sprintf("人%d", i%modelPeople), key: identity.NewKey()})
				}
				for range 3 {
					m.storm(120)
					m.check()
				}
				if m.resumed == 0 {
					t.Error("nobody has come back with what was known before")
				}
			})
		})
	}
}

const (
	modelPeople  = 12
	modelDevices = 16 // the last have an account in common with the first
)

// model is what should be true.
type model struct {
	*world
	*rand.Rand
	devices []*modelDevice
	strays  int // users who were put on the roster and taken off
	resumed int
}

// modelDevice is a device, and what it has said.
type modelDevice struct {
	host   int
	name   string
	key    identity.Key
	client *client // nil while it is not there
	gate   chan struct{}
	// view and where are what it knew when it was there last.
	view  map[uint64]*wire.User
	where roster.Position
}

// storm has so many things happen, mostly one on the heels of the other.
func (m *model) storm(steps int) {
	for range steps {
		d := m.devices[m.IntN(len(m.devices))]
		switch n := m.IntN(20); {
		case d.client != nil && m.ended(d.client):
			m.leave(d) // who didn't read for too long has been put out
		case d.client == nil:
			m.come(d)
		case n < 3:
			m.leave(d)
		case n < 5: // its power goes, and it is back at once
			m.sim.Kill(address(d.host))
			m.leave(d)
			m.come(d)
		case n < 9:
			m.read(d, d.gate != nil)
		case n == 9:
			m.flood(m.IntN(600))
		case n == 10 && m.IntN(4) == 0:
			m.flood(3 * roster.MaxLog)
		default:
			m.say(d)
		}
		m.settle(time.Duration(m.ExpFloat64() * float64(5*time.Millisecond)))
		if m.IntN(15) == 0 {
			m.settle(time.Duration(m.IntN(2000)) * time.Millisecond)
		}
	}
}

func (m *model) settle(d time.Duration) {
	time.Sleep(d) // fake time
	synctest.Wait()
}

// come has a device log in, mostly with what it knows from before. The first of
// an account makes it; others are let in by the administrator.
func (m *model) come(d *modelDevice) {
	if account, exists := m.accounts.Lookup(d.name); exists {
		if _, has := account.Device(d.key.Public()); !has {
			_, _ = m.accounts.AddDevice(context.Background(), d.name, engine.Device{Key: d.key.Public()})
		}
	}
	c := m.dial(d.host, d.name, d.key)
	known := d.view != nil && m.IntN(5) > 0
	if known {
		c.mu.Lock()
		c.view, c.epoch, c.sequence = d.view, d.where.Epoch, d.where.Seq
		c.mu.Unlock()
	}
	d.view, d.client = nil, c
	c.sendHello(func(h *wire.Hello) {
		if known {
			h.Epoch, h.Sequence = d.where.Epoch, d.where.Seq
		}
		if d.host%2 == 0 {
			h.Capabilities = []string{wire.CapabilityDeflate}
		}
	})
}

// leave ends a device's connection, and keeps what it knows.
func (m *model) leave(d *modelDevice) {
	m.read(d, true)
	c := d.client
	d.client = nil
	c.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.welcome != nil && !c.growing && (c.wholes > 0 || c.welcome.Resumed) {
		d.view, d.where = c.view, roster.Position{Epoch: c.epoch, Seq: c.sequence}
	}
	if c.welcome != nil && c.welcome.Resumed {
		m.resumed++
	}
}

// read has a device stop reading, or go on.
func (m *model) read(d *modelDevice, on bool) {
	d.client.mu.Lock()
	defer d.client.mu.Unlock()
	switch {
	case on && d.gate != nil:
		close(d.gate)
		d.gate, d.client.gate = nil, nil
	case !on && d.gate == nil:
		d.gate = make(chan struct{})
		d.client.gate = d.gate
	}
}

func (m *model) ended(c *client) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// say changes a device's status.
func (m *model) say(d *modelDevice) {
	_, _ = d.client.conn.Write(wire.Append(nil, status(&wire.Status{
		Presence: wire.Presence(1 + m.IntN(3)), Text: fmt.Sprint(m.IntN(1000)), Department: []string{"", "实验室"}[m.IntN(2)],
	})))
}

// flood has users come and go who have no device.
func (m *model) flood(changes int) {
	for range changes / 2 {
		m.strays++
		u, _, err := m.roster.Add(roster.User{Name: fmt.Sprintf("stray %d", m.strays), Secure: new(roster.Secure)})
		if err != nil {
			m.Fatal(err)
		}
		m.roster.Leave(u.ID)
	}
}

// check lets all go on reading, and compares.
func (m *model) check() {
	for _, d := range m.devices {
		if d.client != nil {
			m.read(d, true)
		}
	}
	m.settle(2 * time.Second)
	var want []string
	for _, d := range m.devices {
		switch {
		case d.client == nil:
		case m.ended(d.client):
			m.leave(d)
		case !slices.Contains(want, d.name):
			want = append(want, d.name)
		}
	}
	m.settle(2 * time.Second)
	users, _ := m.roster.Snapshot()
	var got []string
	for _, u := range users {
		got = append(got, u.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		m.Errorf("the roster is %v, and there are %v", got, want)
	}
	m.compare("after the storm")
	m.flood(2)
	m.settle(rush.Round(modelDevices) + 50*time.Millisecond)
	m.compare("after one more change")
}

// compare holds every client's copy against the roster.
func (m *model) compare(when string) {
	users, at := m.roster.Snapshot()
	truth := make(map[uint64][]byte, len(users))
	for _, u := range users {
		truth[u.ID] = canonical(u.Wire())
	}
	for _, d := range m.devices {
		if d.client == nil {
			continue
		}
		c := d.client
		c.mu.Lock()
		if c.growing || c.epoch != at.Epoch || c.sequence != at.Seq {
			m.Errorf("%s: %s on host %d is at %d of %d (in the middle of a snapshot: %v)", when, d.name, d.host, c.sequence, at.Seq, c.growing)
		}
		if len(c.view) != len(truth) {
			m.Errorf("%s: %s on host %d sees %d users of %d", when, d.name, d.host, len(c.view), len(truth))
		}
		for id, u := range c.view {
			if !bytes.Equal(canonical(u), truth[id]) {
				m.Errorf("%s: %s on host %d sees %v wrongly", when, d.name, d.host, u)
			}
		}
		c.mu.Unlock()
	}
}

func canonical(u *wire.User) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(u)
	if err != nil {
		panic(err) // it has come over the wire
	}
	return b
}
