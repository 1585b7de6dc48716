package classictest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"earshot/protocol/hostnet"
)

// program is what a client and a server have in common: a UDP socket, a thread
// that receives from it, and a list of users.
type program struct {
	net     hostnet.Net
	dialect Dialect
	from    netip.Addr // of anonymous sockets

	threads sync.WaitGroup
	socket  net.PacketConn // set before threads start

	mu      sync.Mutex
	users   []User
	events  []Event
	died    error
	changed chan struct{} // closed, and replaced, whenever any of these changes
}

// receive hands each datagram to handle until the socket is closed or handle
// fails; the rest stays unread for good then, as in a program whose thread died
// of an exception.
func (p *program) receive(handle func(Event, []byte) error) {
	buf := make([]byte, 65536)
	for {
		n, from, err := p.socket.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		var text string
		if err == nil {
			text, err = p.dialect.Decode(buf[:n])
		}
		if err == nil {
			e := Event{Fields: strings.Split(text, ","), From: hostnet.AddrPort(from)}
			e.Verb = e.Fields[0]
			if err = p.checkFields(e); err == nil {
				err = handle(e, slices.Clone(buf[:n]))
			}
			if err == nil {
				p.change(func() { p.events = append(p.events, e) })
			}
		}
		if err != nil {
			p.die(err)
			return
		}
	}
}

// checkFields dies of what makes an index or a conversion throw.
func (p *program) checkFields(e Event) error {
	want := map[string]int{"Accept": 2, "login": 3, "logout": 3, "talk": 4, "qunliao": 4}[e.Verb]
	if len(e.Fields) < want || (e.Verb == "login" || e.Verb == "logout") && len(e.Fields) != want {
		return fmt.Errorf("%w: %d fields in %v", ErrDied, len(e.Fields), e)
	}
	return nil
}

func parseUser(fields []string) (User, error) {
	if len(fields) != 2 {
		return User{}, fmt.Errorf("%w: %d fields in %q", ErrDied, len(fields), fields)
	}
	endpoint, err := netip.ParseAddrPort(fields[1])
	if err != nil {
		return User{}, fmt.Errorf("%w: %w", ErrDied, err)
	}
	return User{fields[0], endpoint}, nil
}

func (p *program) change(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *program) die(err error) {
	p.change(func() {
		if p.died == nil {
			p.died = err
		}
	})
}

// Died returns an error of the family ErrDied once something arrived that ends
// such a program.
func (p *program) Died() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.died
}

// List returns the program's list of users. Somebody who came twice without
// leaving is on it twice.
func (p *program) List() []User {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.users)
}

// Names returns the names on the list, in order.
func (p *program) Names() []string {
	var names []string
	for _, u := range p.List() {
		names = append(names, u.Name)
	}
	slices.Sort(names)
	return names
}

// WaitFor returns the first event that match accepts, past ones included, and
// forgets it, so that the next call returns the next. It fails when the
// program dies or ctx ends.
func (p *program) WaitFor(ctx context.Context, match func(Event) bool) (Event, error) {
	var found Event
	err := p.await(ctx, func() bool {
		i := slices.IndexFunc(p.events, match)
		if i < 0 {
			return false
		}
		found = p.events[i]
		p.events = slices.Delete(p.events, i, i+1)
		return true
	})
	return found, err
}

// WaitForList waits until the list satisfies match.
func (p *program) WaitForList(ctx context.Context, match func([]User) bool) error {
	return p.await(ctx, func() bool { return match(p.users) })
}

// WaitForNames waits until exactly these names, each once, are on the list.
func (p *program) WaitForNames(ctx context.Context, names ...string) error {
	want := slices.Sorted(slices.Values(names))
	return p.WaitForList(ctx, func(users []User) bool {
		var have []string
		for _, u := range users {
			have = append(have, u.Name)
		}
		slices.Sort(have)
		return slices.Equal(have, want)
	})
}

// await calls ok, with the mutex held, after each change.
func (p *program) await(ctx context.Context, ok func() bool) error {
	for {
		p.mu.Lock()
		done, died, changed := ok(), p.died, p.changed
		state := fmt.Sprintf("list %v, events %v", p.users, p.events)
		p.mu.Unlock()
		switch {
		case done:
			return nil
		case died != nil:
			return died
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w, with %s", ctx.Err(), state)
		}
	}
}

// Send sends text to anyone, in the program's encoding, from an anonymous
// socket.
func (p *program) Send(ctx context.Context, to netip.AddrPort, text string) error {
	return p.SendRaw(ctx, to, p.dialect.Encode(text))
}

// SendRaw sends a datagram from an anonymous socket.
func (p *program) SendRaw(ctx context.Context, to netip.AddrPort, datagram []byte) error {
	anonymous, err := p.net.ListenPacket(ctx, netip.AddrPortFrom(p.from, 0))
	if err != nil {
		return err
	}
	defer anonymous.Close()
	_, err = anonymous.WriteTo(datagram, net.UDPAddrFromAddrPort(to))
	return err
}

func (p *program) remove(name string) {
	p.change(func() {
		p.users = slices.DeleteFunc(p.users, func(u User) bool { return u.Name == name })
	})
}
