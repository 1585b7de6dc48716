package control

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"earshot/p2p"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

func TestLogin(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		next[Connecting](b, time.Second)
		p := b.accept()
		same(b, p.hello.GetName(), "Ann")
		same(b, p.hello.GetDeviceLabel(), ours.String())
		same(b, p.hello.GetEpoch()+p.hello.GetSequence(), uint64(0))
		same(b, p.hello.GetCapabilities(), []string{"deflate"})
		if key, err := identity.PeerKey(p.conn.ConnectionState()); err != nil || key != ourKey.Public() {
			t.Errorf("the client proves to be %v, %v", key, err)
		}
		p.say(welcome(7, false), snapshot(7, 40, true, user(3, "Cy"), user(1, "Ann")))
		b.quiet(time.Second)
		if err := b.client.Send(pingFrame); !errors.Is(err, p2p.ErrNotConnected) {
			t.Errorf("a frame is taken before the roster is whole: %v", err)
		}
		p.write(wire.AppendCompressed(nil, wire.Append(nil, snapshot(7, 40, false, user(2, "Bo")))))
		c := next[Connected](b, time.Second)
		b.names(c.Users, user(1, "Ann"), user(2, "Bo"), user(3, "Cy"))
		same(b, c.Welcome.GetAccount().GetName(), "Ann")
		same(b, c.Local.Addr(), ours)

		p.say(put(41, user(4, "Di")), gone(42, 2), put(43, &wire.User{Id: 1, Name: "Ann", Status: &wire.Status{Text: "hi"}}))
		same(b, next[Put](b, time.Second).User.GetName(), "Di")
		same(b, next[Gone](b, time.Second).User.GetName(), "Bo")
		same(b, next[Put](b, time.Second).User.GetStatus().GetText(), "hi")

		// A fresh snapshot replaces what was known.
		p.say(snapshot(7, 99, false, user(1, "Ann")), put(100, user(9, "Di")))
		b.names(next[Connected](b, time.Second).Users, user(1, "Ann"))
		same(b, next[Put](b, time.Second).User.GetId(), uint64(9))

		// The program's end is a logout.
		b.cancel()
		p.closed(time.Second)
	})
}

// What a client missed is all that it asks for, and its list is whole.
func TestResume(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		p := b.login(7, 40, user(1, "Ann"), user(2, "Bo"))
		p.say(gone(41, 2))
		next[Gone](b, time.Second)
		b.sim.CutTCP(ours)
		if d := b.lost(time.Second); d.NotSecure || time.Until(d.Retry) > firstBackoff {
			t.Errorf("%+v", d)
		}
		next[Connecting](b, time.Second)
		p = b.accept()
		same(b, p.hello.GetEpoch(), uint64(7))
		same(b, p.hello.GetSequence(), uint64(41))
		p.say(welcome(7, true), put(42, user(3, "Cy")))
		b.names(next[Connected](b, time.Second).Users, user(1, "Ann"))
		next[Put](b, time.Second)

		// A coordinator that was started anew has another epoch.
		b.sim.CutTCP(theirs)
		b.lost(time.Second)
		next[Connecting](b, time.Second)
		p = b.accept()
		same(b, p.hello.GetSequence(), uint64(42))
		p.say(welcome(8, false), snapshot(8, 1, true, user(1, "Di")))
		b.sim.CutTCP(theirs) // amidst the snapshot
		b.lost(time.Second)
		b.login(8, 2, user(1, "Di"), user(2, "Ann"))
	})
}

// A coordinator whose roster doesn't add up is asked for all of it again.
func TestWrongRosters(t *testing.T) {
	whole := []*wire.ToClient{welcome(7, false), snapshot(7, 40, false, user(1, "Ann"), user(2, "Bo"))}
	then := func(frames ...*wire.ToClient) []*wire.ToClient { return append(whole[:2:2], frames...) }
	for name, frames := range map[string][]*wire.ToClient{
		"a gap":                         then(put(42, user(3, "Cy"))),
		"a repetition":                  then(put(40, user(3, "Cy"))),
		"a gap before somebody leaves":  then(gone(50, 1)),
		"an unknown leaves":             then(gone(41, 3)),
		"an entry of nobody":            then(put(41, nil)),
		"an entry without an ID":        then(put(41, user(0, "Cy"))),
		"a name with a line end":        then(put(41, user(3, "C\ny"))),
		"no name":                       then(put(41, user(3, ""))),
		"a name that is taken":          then(put(41, user(3, "ＡＮＮ"))),
		"somebody takes another's name": then(put(41, user(1, "bo"))),
		"a huge entry":                  then(put(41, &wire.User{Id: 3, Name: "Cy", Status: &wire.Status{Text: strings.Repeat("x", maxEntry)}})),
		"a change before the roster":    {welcome(7, false), put(1, user(1, "Ann"))},
		"a change amidst a snapshot":    then(snapshot(7, 41, true), put(41, user(3, "Cy"))),
		"a snapshot of another epoch":   {welcome(7, false), snapshot(8, 40, false)},
		"a snapshot of two times":       {welcome(7, false), snapshot(7, 40, true, user(1, "Ann")), snapshot(7, 41, false)},
		"one ID twice in a snapshot":    {welcome(7, false), snapshot(7, 40, false, user(1, "Ann"), user(1, "Ann"))},
		"one name twice in a snapshot":  {welcome(7, false), snapshot(7, 40, true, user(1, "Ann")), snapshot(7, 40, false, user(2, "ann"))},
		"what is not compressed":        {welcome(7, false), {Body: &wire.ToClient_Deflate{Deflate: []byte("snapshot")}}},
		"it resumes from nowhere":       {welcome(0, true)},
		"it resumes another epoch":      {welcome(7, true)},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.start()
				next[Connecting](b, time.Second)
				p := b.accept()
				for _, f := range frames {
					p.say(f)
				}
				for {
					e := next[Event](b, time.Second)
					if d, ok := e.(Disconnected); ok {
						if !errors.Is(d.Cause, errRoster) && !errors.Is(d.Cause, wire.ErrFrame) || !errors.Is(d.Cause, p2p.ErrTransport) || d.NotSecure {
							t.Errorf("%+v", d)
						}
						break
					}
				}
				p.closed(time.Second)
				next[Connecting](b, time.Second)
				p = b.accept()
				same(b, p.hello.GetEpoch()+p.hello.GetSequence(), uint64(0))
				for _, f := range whole {
					p.say(f)
				}
				b.names(next[Connected](b, time.Second).Users, user(1, "Ann"), user(2, "Bo"))
			})
		})
	}
}

// What a later version may say is skipped; what is no message ends the
// connection.
func TestUnknownAndMalformed(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		p := b.login(7, 40, user(1, "Ann"))
		unknown := protowire.AppendTag(nil, 999, protowire.BytesType)
		unknown = protowire.AppendBytes(unknown, []byte("a frame of tomorrow"))
		p.write(append([]byte{0, 0, 0, byte(len(unknown))}, unknown...))
		p.write([]byte{0, 0, 0, 0})
		p.say(&wire.ToClient{Body: &wire.ToClient_Delta{Delta: &wire.Delta{Sequence: 41}}}) // a change of tomorrow
		p.say(welcome(9, false))                                                            // out of place
		p.say(&wire.ToClient{Body: &wire.ToClient_GroupTalk{GroupTalk: &wire.GroupTalk{Sender: "B\x1bo", Text: "forged"}}})
		p.say(put(42, user(2, "Bo")))
		same(b, next[Put](b, time.Second).User.GetName(), "Bo")

		for _, bytes := range []string{"\xff\xff\xff\xff", "\x00\x04\x00\x01", "\x00\x00\x00\x02\xff\xff"} {
			p.write([]byte(bytes))
			b.lost(time.Second)
			p.closed(time.Second)
			next[Connecting](b, time.Minute)
			p = b.accept()
			same(b, p.hello.GetSequence(), uint64(0))
			p.say(welcome(7, false), snapshot(7, 40, false))
			next[Connected](b, time.Second)
		}
	})
}

func TestOtherFrames(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		p := b.login(7, 40)
		p.say(
			&wire.ToClient{Body: &wire.ToClient_GroupTalk{GroupTalk: &wire.GroupTalk{Sender: "Bo", Text: "hello"}}},
			&wire.ToClient{Body: &wire.ToClient_Introduction{Introduction: &wire.Introduction{Device: []byte("key")}}},
			&wire.ToClient{Body: &wire.ToClient_JoinRequest{JoinRequest: &wire.JoinRequest{Id: 5}}},
			&wire.ToClient{Body: &wire.ToClient_Account{Account: &wire.Account{Name: "Ann"}}},
			&wire.ToClient{Body: &wire.ToClient_Ping{Ping: &wire.Ping{}}},
		)
		same(b, next[GroupTalk](b, time.Second).GroupTalk.GetText(), "hello")
		same(b, string(next[Introduction](b, time.Second).Introduction.GetDevice()), "key")
		same(b, next[JoinRequest](b, time.Second).JoinRequest.GetId(), uint64(5))
		same(b, next[Account](b, time.Second).Account.GetName(), "Ann")
		if p.read(time.Second).GetPong() == nil {
			t.Error("a ping is not answered")
		}
		for i := range uint64(maxQueued) {
			if err := b.client.Send(&wire.ToCoordinator{Body: &wire.ToCoordinator_JoinAnswer{JoinAnswer: &wire.JoinAnswer{Id: i}}}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range uint64(maxQueued) {
			same(b, p.read(time.Second).GetJoinAnswer().GetId(), i)
		}
	})
}

// A coordinator that does not read costs a bounded queue and, in the end, the
// connection.
func TestCoordinatorThatNeverReads(t *testing.T) {
	inBed(t, func(b *bed) {
		b.start()
		b.login(7, 40)
		large := &wire.ToCoordinator{Body: &wire.ToCoordinator_SetStatus{SetStatus: &wire.SetStatus{
			Status: &wire.Status{Text: strings.Repeat("x", 10_000)},
		}}}
		taken := 0
		for b.client.Send(large) == nil {
			taken++
			if taken%100 == 0 {
				synctest.Wait() // the writer takes what it can
			}
			if taken > 2000 {
				t.Fatal("the queue takes everything")
			}
		}
		if d := b.lost(writeTimeout + time.Second); !errors.Is(d.Cause, p2p.ErrNoAnswer) {
			t.Errorf("%+v", d)
		}
		if err := b.client.Send(pingFrame); !errors.Is(err, p2p.ErrNotConnected) {
			t.Errorf("%v", err)
		}
		b.login(7, 40)
		if err := b.client.Send(pingFrame); err != nil {
			t.Error(err)
		}
	})
}

func TestIncompleteConfigurations(t *testing.T) {
	inBed(t, func(b *bed) {
		for name, spoil := range map[string]func(*Config){
			"no network":               func(c *Config) { c.Net = nil },
			"no host":                  func(c *Config) { c.Host = "" },
			"no port":                  func(c *Config) { c.Port = 0 },
			"no key":                   func(c *Config) { c.Key = identity.Key{} },
			"no hello":                 func(c *Config) { c.Hello = nil },
			"any coordinator would do": func(c *Config) { c.Verify = nil },
		} {
			cfg := b.client.cfg
			spoil(&cfg)
			if _, err := New(cfg); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
	})
}
