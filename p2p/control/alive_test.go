package control

import (
	"errors"
	"testing"
	"time"

	"earshot/p2p"
	"earshot/protocol/wire"
)

// A quiet connection lives as long as its pings are answered.
func TestKeepalive(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		p := b.login(7, 40)
		pings, ended := p.pong()
		b.quiet(time.Hour)
		if n := pings.Load(); n < 140 || n > 145 {
			t.Errorf("%d pings in an hour", n)
		}
		// The cable is out: the client notices by itself.
		b.sim.Down(theirs, true)
		d := b.lost(defaultKeepalive + answerTimeout + time.Second)
		if !errors.Is(d.Cause, p2p.ErrNoAnswer) || d.NotSecure {
			t.Errorf("%+v", d)
		}
		b.sim.Down(theirs, false)
		<-ended
	})
}

// A coordinator with very many clients hears of each of them less often. One whose
// host has gone is missed within a minute, since the system asks it meanwhile.
func TestLongerKeepalive(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		p := b.login(7, 40)
		pings, ended := p.pongAs(&wire.Pong{KeepaliveSeconds: 100})
		b.quiet(time.Hour)
		if n := pings.Load(); n < 35 || n > 38 {
			t.Errorf("%d pings in an hour", n)
		}
		b.sim.Down(theirs, true)
		if d := b.lost(time.Minute + time.Second); !errors.Is(d.Cause, p2p.ErrNoAnswer) {
			t.Errorf("%+v", d)
		}
		b.sim.Down(theirs, false)
		<-ended
	})
}

// A coordinator that talks but doesn't answer is there all the same.
func TestTalkativeCoordinator(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		p := b.login(7, 40, user(1, "Ann"))
		for i := range uint64(20) {
			b.quiet(30 * time.Second)
			p.say(put(41+i, user(1, "Ann")))
			next[Put](b, time.Second)
		}
	})
}

// A coordinator that lets people in and never tells who is there is left.
func TestLoginTakesTooLong(t *testing.T) {
	for name, frames := range map[string][]*wire.ToClient{
		"no welcome": nil, "no snapshot": {welcome(7, false)}, "half a snapshot": {welcome(7, false), snapshot(7, 1, true)},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.start()
				next[Connecting](b, time.Second)
				p := b.accept()
				for _, f := range frames {
					p.say(f)
				}
				_, ended := p.pong()
				if d := b.lost(loginTimeout + time.Second); !errors.Is(d.Cause, p2p.ErrNoAnswer) {
					t.Errorf("%+v", d)
				}
				<-ended
			})
		})
	}
}

// After a change of the network, what is dead is found out within seconds, and
// what lives stays.
func TestKick(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		p := b.login(7, 40)
		pings, ended := p.pong()
		for range 5 {
			b.client.Kick()
			b.quiet(10 * time.Second)
		}
		if n := pings.Load(); n < 5 {
			t.Errorf("%d pings show that the connection lives", n)
		}
		b.sim.Down(theirs, true)
		b.client.Kick()
		b.lost(kickTimeout + time.Second)
		next[Connecting](b, time.Second)
		b.quiet(time.Second) // the SYN is lost
		b.sim.Down(theirs, false)
		b.client.Kick() // and another one goes at once
		p = b.accept()
		p.say(welcome(7, true))
		next[Connected](b, time.Second)
		<-ended

		p.say(refused(wire.Refused_CODE_NAME_TAKEN, "Somebody else has the name.", 0))
		b.lost(time.Second)
		b.quiet(time.Second)
		b.client.Kick()
		next[Connecting](b, time.Millisecond)
	})
}

// A kick doesn't end a login that another device is asked about.
func TestKickDuringLogin(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		next[Connecting](b, time.Second)
		p := b.accept()
		b.client.Kick()
		b.quiet(10 * time.Second)
		p.say(welcome(7, false), snapshot(7, 40, false))
		next[Connected](b, time.Second)
	})
}

// Whatever the client is doing, its end is quick and nothing is left.
func TestEnd(t *testing.T) {
	for name, prepare := range map[string]func(*bed){
		"while it dials": func(b *bed) {
			b.sim.Down(theirs, true)
			b.start()
			b.quietAfterConnecting()
		},
		"while it shakes hands": func(b *bed) {
			b.start()
			raw, err := b.listener.Accept()
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { raw.Close() })
			b.quietAfterConnecting()
		},
		"while it logs in": func(b *bed) {
			b.start()
			b.accept()
			b.quietAfterConnecting()
		},
		"while it waits": func(b *bed) {
			b.listener.Close()
			b.start()
			next[Connecting](b, time.Second)
			b.lost(time.Second)
		},
		"while the cable is out": func(b *bed) {
			b.start()
			b.login(7, 40)
			b.sim.Down(theirs, true)
		},
		"before it has begun": func(b *bed) { b.start() },
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				prepare(b)
				began := time.Now()
				b.end()
				if took := time.Since(began); took > farewellTimeout {
					t.Errorf("the end took %v", took)
				}
				b.cancel = nil
			})
		})
	}
}

func (b *bed) quietAfterConnecting() {
	b.Helper()
	next[Connecting](b, time.Second)
	b.quiet(time.Second)
}
