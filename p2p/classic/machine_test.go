package classic

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/classic"
)

var (
	testSelf   = netip.MustParseAddrPort("10.0.0.2:5000")
	testServer = netip.MustParseAddrPort("10.0.0.1:13277")
	annAt      = netip.MustParseAddrPort("10.0.0.3:5000")
	boAt       = netip.MustParseAddrPort("10.0.0.4:5000")
)

// bench runs a machine by hand, with a clock of its own.
type bench struct {
	*testing.T
	m    *machine
	now  time.Time
	wake time.Time
}

func newBench(t *testing.T) *bench {
	return &bench{T: t, m: newMachine("me", rand.New(rand.NewPCG(1, 2))), now: time.Unix(1000, 0)}
}

// happens steps the machine and compares what it wants done.
func (b *bench) happens(event any, want ...any) {
	b.Helper()
	var actions []any
	actions, b.wake = b.m.step(event, b.now)
	if len(actions) == 0 && len(want) == 0 {
		return
	}
	if !reflect.DeepEqual(actions, want) {
		b.Fatalf("after %#v:\n got %#v\nwant %#v", event, actions, want)
	}
}

// sleeps lets time pass until the machine wants to be woken, and wakes it.
func (b *bench) sleeps(d time.Duration, want ...any) {
	b.Helper()
	if got := b.wake.Sub(b.now); got != d {
		b.Fatalf("the machine sleeps for %v, not %v", got, d)
	}
	b.now = b.wake
	b.happens(evWake{}, want...)
}

func (b *bench) opens() {
	b.Helper()
	b.happens(evWake{}, doReport{p2p.Connecting{}}, doOpen{})
	b.happens(evOpened{testSelf, testServer}, doSend{classic.Login{Name: "me", Endpoint: testSelf}})
}

func (b *bench) comesOnline(entries ...classic.Entry) {
	b.Helper()
	b.opens()
	b.happens(evMessage{classic.Accept{Port: 13279}, testServer}, doFetch{netip.AddrPortFrom(testServer.Addr(), 13279)})
	actions, wake := b.m.step(evList{entries}, b.now)
	b.wake = wake
	if len(actions) != 1 {
		b.Fatalf("%#v", actions)
	}
}

// disconnected checks the last action and returns its cause and wait.
func (b *bench) disconnected(event any) (time.Duration, error) {
	b.Helper()
	var actions []any
	actions, b.wake = b.m.step(event, b.now)
	if len(actions) != 1 {
		b.Fatalf("after %#v: %#v", event, actions)
	}
	d, ok := actions[0].(doReport).event.(p2p.Disconnected)
	if !ok {
		b.Fatalf("after %#v: %#v", event, actions)
	}
	if d.Retry != b.wake {
		b.Errorf("told %v as the time of the next attempt, which is %v", d.Retry, b.wake)
	}
	return d.Retry.Sub(b.now), d.Cause
}

func TestLoginIsRepeatedFiveTimes(t *testing.T) {
	b := newBench(t)
	b.opens()
	login, why := doSend{classic.Login{Name: "me", Endpoint: testSelf}}, doSend{classic.Why{Name: "me", Endpoint: testSelf}}
	for _, wait := range []time.Duration{200, 400, 800, 1600, 3200} {
		b.sleeps(wait*time.Millisecond, login, why)
	}
	b.now = b.now.Add(giveUp)
	if _, cause := b.disconnected(evWake{}); !errors.Is(cause, p2p.ErrNoAnswer) {
		t.Errorf("the cause is %v", cause)
	}
}

func TestBackoffDoublesAndIsJittered(t *testing.T) {
	b := newBench(t)
	for limit := firstBackoff; ; limit = min(2*limit, lastBackoff) {
		b.opens()
		wait, _ := b.disconnected(evUnreachable{})
		if wait < limit/2 || wait > limit {
			t.Errorf("waits %v, not between %v and %v", wait, limit/2, limit)
		}
		b.now = b.wake
		if limit == lastBackoff {
			break
		}
	}
	b.comesOnline()
	if wait, _ := b.disconnected(evUnreachable{}); wait > firstBackoff {
		t.Errorf("waits %v after a login", wait)
	}
}

func TestDeltasBeforeTheListGoOnTop(t *testing.T) {
	b := newBench(t)
	b.opens()
	b.happens(evMessage{classic.Login{Name: "early", Endpoint: annAt}, testServer})
	b.happens(evMessage{classic.Accept{Port: 1}, testServer}, doFetch{netip.AddrPortFrom(testServer.Addr(), 1)})
	b.happens(evMessage{classic.Logout{Name: "ann", Endpoint: annAt}, testServer})
	b.happens(evMessage{classic.Login{Name: "bo", Endpoint: boAt}, testServer})
	b.happens(evList{[]classic.Entry{{Name: "ann", Endpoint: annAt}, {Name: "me", Endpoint: testSelf}}},
		doReport{p2p.Connected{Server: testServer.String(), Self: p2p.Person{Name: "me", Addr: testSelf},
			Roster: []p2p.Person{{Name: "bo", Addr: boAt}, {Name: "early", Addr: annAt}}}})
	b.happens(evMessage{classic.Logout{Name: "bo", Endpoint: boAt}, testServer}, doReport{p2p.Left{Name: "bo"}})
	b.happens(evMessage{classic.Logout{Name: "bo", Endpoint: boAt}, testServer})
	b.happens(evMessage{classic.Login{Name: "bo", Endpoint: boAt}, testServer}, doReport{p2p.Came{Person: p2p.Person{Name: "bo", Addr: boAt}}})
	b.happens(evMessage{classic.Login{Name: "a;b", Endpoint: boAt}, testServer})
}

// A coordinator of ours that falls silent is asked, and nothing is reported
// unless it doesn't answer.
func TestSilentCoordinatorIsAsked(t *testing.T) {
	b := newBench(t)
	b.comesOnline()
	probe := classic.Alive{Name: "me", Endpoint: testSelf}
	b.happens(evMessage{probe, testServer}, doSend{probe})
	login := doSend{classic.Login{Name: "me", Endpoint: testSelf}}
	b.sleeps(aliveLimit, login)
	b.happens(evMessage{classic.Accept{Port: 1}, testServer}, doFetch{netip.AddrPortFrom(testServer.Addr(), 1)})
	b.m.step(evList{nil}, b.now)
	b.happens(evMessage{probe, testServer}, doSend{probe})
	b.sleeps(aliveLimit, login)
	if _, cause := b.disconnected(evUnreachable{}); !errors.Is(cause, p2p.ErrUnreachable) {
		t.Errorf("the cause is %v", cause)
	}
}

// A foreign coordinator is never asked anything; it gets what it ignores.
func TestForeignCoordinatorIsPinged(t *testing.T) {
	b := newBench(t)
	b.comesOnline()
	for range 3 {
		b.sleeps(pingEvery, doSend{classic.Alive{Name: "me", Endpoint: testSelf}})
	}
	if _, cause := b.disconnected(evUnreachable{}); !errors.Is(cause, p2p.ErrUnreachable) {
		t.Errorf("the cause is %v", cause)
	}
}

func TestRefusal(t *testing.T) {
	b := newBench(t)
	b.opens()
	wait, cause := b.disconnected(evMessage{classic.Refused{Reason: "This name is taken."}, testServer})
	if !errors.Is(cause, p2p.ErrRefused) || cause.Error() != "This name is taken." || wait != refusedRetry {
		t.Errorf("%v, next attempt in %v", cause, wait)
	}
}

// Datagrams at the wrong time change nothing.
func TestOutOfTurn(t *testing.T) {
	b := newBench(t)
	for _, e := range []any{
		evMessage{classic.Accept{Port: 1}, testServer}, evMessage{classic.Refused{Reason: "x"}, testServer},
		evMessage{classic.Login{Name: "x", Endpoint: annAt}, testServer}, evList{}, evUnreachable{}, evLinkLost{},
		evMessage{classic.Alive{Name: "me", Endpoint: testSelf}, testServer}, evFailed{errors.New("x")},
		evOpened{testSelf, testServer},
	} {
		b.happens(e)
	}
	b.comesOnline()
	for _, e := range []any{
		evMessage{classic.Accept{Port: 1}, testServer}, evMessage{classic.Refused{Reason: "x"}, testServer},
		evMessage{classic.Alive{Name: "somebody", Endpoint: testSelf}, testServer}, evFailed{errors.New("x")},
		evMessage{classic.Logout{Name: "me", Endpoint: annAt}, testServer},
		evMessage{classic.Speaks{Name: "x"}, testServer}, evOpened{testSelf, testServer},
	} {
		b.happens(e)
	}
	if _, cause := b.disconnected(evMessage{classic.Logout{Name: "me", Endpoint: testSelf}, testServer}); !errors.Is(cause, p2p.ErrUnreachable) {
		t.Errorf("the cause is %v", cause)
	}
}
