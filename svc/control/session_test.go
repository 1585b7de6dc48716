package control

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/engine"
	"earshot/svc/roster"
)

func TestComingAndGoing(t *testing.T) {
	inWorld(t, func(w *world) {
		ann := w.login(1, "Ann", func(h *wire.Hello) {
			h.Status = &wire.Status{Presence: wire.Presence_PRESENCE_BUSY, Text: "测试", DisplayName: "Ann A.", Department: "R&D"}
			h.Candidates = []*wire.Candidate{{Kind: wire.Candidate_KIND_HOST, Address: wire.Address(netip.MustParseAddrPort("10.0.1.2:9"))}}
			h.Classic = &wire.Classic{Endpoint: wire.Address(netip.AddrPortFrom(address(1), 99)), Encoding: wire.Encoding_ENCODING_UTF8}
		})
		bo := w.login(2, "波")
		ann.sees("Ann", "波")
		bo.sees("Ann", "波")
		key := ann.key.Public()
		want := &wire.User{
			Name: "Ann", Status: &wire.Status{Presence: wire.Presence_PRESENCE_BUSY, Text: "测试", DisplayName: "Ann A.", Department: "R&D"},
			Devices: []*wire.Device{{Key: key[:], Label: "test device", Online: true, Candidates: []*wire.Candidate{
				{Kind: wire.Candidate_KIND_HOST, Address: wire.Address(netip.MustParseAddrPort("10.0.1.2:9"))},
			}}},
			Classic: &wire.Classic{Endpoint: wire.Address(netip.AddrPortFrom(address(1), 99)), Encoding: wire.Encoding_ENCODING_UTF8},
		}
		got := bo.user("Ann", "as she said", func(*wire.User) bool { return true })
		want.Id = got.Id
		if !proto.Equal(got, want) {
			t.Errorf("Bo sees %v, not %v", got, want)
		}
		if w := ann.welcome; w.Version != 1 || w.KeepaliveSeconds != 25 || w.Account.Name != "Ann" || len(w.Account.Devices) != 1 {
			t.Errorf("the welcome is %v", w)
		}
		ann.ping()
		bo.send(status(&wire.Status{Presence: wire.Presence_PRESENCE_AWAY, Text: "lunch"}))
		ann.user("波", "at lunch", func(u *wire.User) bool {
			return u.Status.Text == "lunch" && u.Status.Presence == wire.Presence_PRESENCE_AWAY
		})
		bo.close()
		ann.sees("Ann")
	})
}

// Who is back in time gets what happened meanwhile, and no more.
func TestResume(t *testing.T) {
	inWorld(t, func(w *world) {
		ann, bo := w.login(1, "Ann"), w.login(2, "Bo")
		ann.sees("Ann", "Bo")
		ann.close()
		cho := w.login(3, "Cho")
		bo.close()
		cho.sees("Cho")
		again := w.dial(1, "Ann", ann.key)
		again.view, again.epoch, again.sequence = ann.view, ann.epoch, ann.sequence
		again.sendHello(func(h *wire.Hello) { h.Epoch, h.Sequence = ann.epoch, ann.sequence })
		again.sees("Ann", "Cho")
		if !again.welcome.Resumed || again.wholes != 0 {
			t.Errorf("resumed: %v, with %d snapshots", again.welcome.Resumed, again.wholes)
		}
		other := w.loginAs(4, "Dee", identity.NewKey(), func(h *wire.Hello) { h.Epoch, h.Sequence = ann.epoch+1, ann.sequence })
		if other.welcome.Resumed || other.wholes != 1 {
			t.Error("another epoch was resumed")
		}
	})
}

// An account is on the roster once, with all its devices, for as long as one is
// online; its own devices see each other even while it is invisible.
func TestTwoDevices(t *testing.T) {
	inWorld(t, func(w *world) {
		phone := identity.NewKey()
		ann, bo := w.login(1, "Ann"), w.login(2, "Bo")
		if _, err := w.accounts.AddDevice(t.Context(), "Ann", engine.Device{Key: phone.Public(), Label: "phone"}); err != nil {
			t.Fatal(err)
		}
		ann.until("two devices", func() bool { return len(ann.account.Devices) == 2 && !ann.account.Devices[1].Online })
		second := w.loginAs(3, "ANN", phone, func(h *wire.Hello) { h.Status = &wire.Status{Presence: wire.Presence_PRESENCE_INVISIBLE} })
		online := func(which ...bool) func(*wire.User) bool {
			return func(u *wire.User) bool {
				return slices.EqualFunc(u.Devices, which, func(d *wire.Device, on bool) bool { return d.Online == on })
			}
		}
		before := bo.user("Ann", "with two devices", online(true, true))
		ann.send(status(&wire.Status{Presence: wire.Presence_PRESENCE_INVISIBLE}))
		bo.sees("Bo")
		second.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_SetCandidates{SetCandidates: &wire.SetCandidates{
			Candidates: []*wire.Candidate{{Kind: wire.Candidate_KIND_HOST, Address: wire.Address(netip.MustParseAddrPort("10.9.9.9:9"))}},
		}}})
		ann.until("the other's address", func() bool { return len(ann.account.Devices[1].Candidates) == 1 })
		second.send(status(&wire.Status{}))
		bo.user("Ann", "back", func(u *wire.User) bool { return online(true, true)(u) && u.Id != before.Id })
		ann.close()
		bo.user("Ann", "with one device", online(false, true))
		second.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_RemoveDevice{RemoveDevice: &wire.RemoveDevice{Key: publicKey(ann.key)}}})
		bo.user("Ann", "without the other device", online(true))
		again := w.dial(1, "Ann", ann.key)
		again.sendHello()
		again.isRefused(wire.Refused_CODE_DEVICE_REMOVED)
		second.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_RemoveDevice{RemoveDevice: &wire.RemoveDevice{Key: publicKey(bo.key)}}})
		second.ping()
		bo.ping() // still there
		second.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_RemoveDevice{RemoveDevice: &wire.RemoveDevice{Key: publicKey(phone)}}})
		second.isRefused(wire.Refused_CODE_DEVICE_REMOVED)
		bo.sees("Bo")
	})
}

func publicKey(k identity.Key) []byte { p := k.Public(); return p[:] }

// A device that connects anew takes its own place, and nobody sees it leave.
func TestReplaced(t *testing.T) {
	inWorld(t, func(w *world) {
		ann, bo := w.login(1, "Ann"), w.login(2, "Bo")
		bo.sees("Ann", "Bo")
		before := bo.sequence
		again := w.loginAs(3, "Ann", ann.key)
		ann.isRefused(wire.Refused_CODE_REPLACED)
		again.ping()
		synctest.Wait()
		bo.sees("Ann", "Bo")
		if bo.sequence != before || w.roster.Len() != 2 {
			t.Errorf("the roster went from %d to %d, with %d people", before, bo.sequence, w.roster.Len())
		}
	})
}

func TestRefusals(t *testing.T) {
	inWorld(t, func(w *world) {
		ann := w.login(1, "Ann")
		if _, _, err := w.roster.Join("Classic", netip.AddrPortFrom(address(9), 9)); err != nil {
			t.Fatal(err)
		}
		defer func() {
			u, _ := w.roster.Lookup("Classic")
			w.roster.Leave(u.ID)
		}()
		many := make([]*wire.Candidate, 9)
		for i := range many {
			many[i] = &wire.Candidate{Address: wire.Address(serverAddr)}
		}
		for name, c := range map[string]struct {
			key    identity.Key
			change func(*wire.Hello)
			want   wire.Refused_Code
		}{
			"stolen name":    {identity.NewKey(), func(h *wire.Hello) { h.Name = "ＡＮＮ" }, wire.Refused_CODE_NAME_TAKEN},
			"classic name":   {identity.NewKey(), func(h *wire.Hello) { h.Name = "classic" }, wire.Refused_CODE_NAME_TAKEN},
			"second name":    {ann.key, func(h *wire.Hello) { h.Name = "Eve" }, wire.Refused_CODE_OTHER_ACCOUNT},
			"bad name":       {identity.NewKey(), func(h *wire.Hello) { h.Name = "a,b" }, wire.Refused_CODE_NAME_INVALID},
			"no name":        {identity.NewKey(), func(h *wire.Hello) { h.Name = "" }, wire.Refused_CODE_NAME_INVALID},
			"future version": {identity.NewKey(), func(h *wire.Hello) { h.VersionMin = 2 }, wire.Refused_CODE_VERSION},
			"no version":     {identity.NewKey(), func(h *wire.Hello) { h.VersionMin, h.VersionMax = 0, 0 }, wire.Refused_CODE_VERSION},
			"long text":      {identity.NewKey(), func(h *wire.Hello) { h.Status = &wire.Status{Text: strings.Repeat("x", 281)} }, wire.Refused_CODE_MALFORMED},
			"control text":   {identity.NewKey(), func(h *wire.Hello) { h.Status = &wire.Status{Text: "a\nb"} }, wire.Refused_CODE_MALFORMED},
			"turned text":    {identity.NewKey(), func(h *wire.Hello) { h.Status = &wire.Status{DisplayName: "a\u202Eb"} }, wire.Refused_CODE_MALFORMED},
			"long display":   {identity.NewKey(), func(h *wire.Hello) { h.Status = &wire.Status{DisplayName: strings.Repeat("é", 65)} }, wire.Refused_CODE_MALFORMED},
			"long group":     {identity.NewKey(), func(h *wire.Hello) { h.Status = &wire.Status{Department: strings.Repeat("é", 65)} }, wire.Refused_CODE_MALFORMED},
			"long label":     {identity.NewKey(), func(h *wire.Hello) { h.DeviceLabel = strings.Repeat("é", 65) }, wire.Refused_CODE_MALFORMED},
			"many addresses": {identity.NewKey(), func(h *wire.Hello) { h.Candidates = many }, wire.Refused_CODE_MALFORMED},
			"no address":     {identity.NewKey(), func(h *wire.Hello) { h.Candidates = []*wire.Candidate{{Address: []byte("xyz")}} }, wire.Refused_CODE_MALFORMED},
			"empty address":  {identity.NewKey(), func(h *wire.Hello) { h.Candidates = []*wire.Candidate{nil} }, wire.Refused_CODE_MALFORMED},
			"bad classic":    {identity.NewKey(), func(h *wire.Hello) { h.Classic = &wire.Classic{Endpoint: []byte{1}} }, wire.Refused_CODE_MALFORMED},
			"no such join":   {identity.NewKey(), func(h *wire.Hello) { h.JoinProof = []byte("x") }, wire.Refused_CODE_JOIN_FAILED},
			"huge invite":    {identity.NewKey(), func(h *wire.Hello) { h.Invite = strings.Repeat("x", 1000) }, wire.Refused_CODE_INVITE_INVALID},
		} {
			t.Log(name)
			client := w.dial(2, "Somebody", c.key)
			client.sendHello(c.change)
			client.isRefused(c.want)
		}
		// What is at the limits is fine.
		w.login(3, "Bo", func(h *wire.Hello) {
			h.Status = &wire.Status{Text: strings.Repeat("x", 280), DisplayName: strings.Repeat("é", 64), Department: "👩‍💻"}
			h.Candidates, h.DeviceLabel = many[:8], strings.Repeat("é", 64)
		})
		for err, want := range map[error]wire.Refused_Code{
			engine.ErrInviteNeeded: wire.Refused_CODE_INVITE_NEEDED, engine.ErrInviteInvalid: wire.Refused_CODE_INVITE_INVALID,
			engine.ErrTooManyDevices: wire.Refused_CODE_FULL, engine.ErrFull: wire.Refused_CODE_FULL, engine.ErrPending: wire.Refused_CODE_AWAITING_APPROVAL,
			engine.ErrStore: wire.Refused_CODE_INTERNAL, engine.ErrClosed: wire.Refused_CODE_SHUTDOWN, errors.New("odd"): wire.Refused_CODE_INTERNAL,
		} {
			w.accounts.fails = err
			client := w.dial(2, "Nobody", identity.NewKey())
			client.sendHello()
			client.isRefused(want)
		}
		ann.ping()
	})
}

// A new account waits until somebody says yes.
func TestApproval(t *testing.T) {
	inWorld(t, func(w *world) {
		key := identity.NewKey()
		for range 2 {
			c := w.dial(1, "Ann", key)
			c.sendHello()
			if r := c.isRefused(wire.Refused_CODE_AWAITING_APPROVAL); r.RetrySeconds == 0 {
				t.Error("nobody says when to try again")
			}
		}
		account, _ := w.accounts.Lookup("Ann")
		account.Pending = false
		w.accounts.set(account)
		w.loginAs(1, "Ann", key).sees("Ann")
	}, func(c *Config) { c.Policy = engine.PolicyApprove })
}

// Whoever is told to come back comes within a second, in a small office; many
// are spread, for they must not all come at once.
func TestComeBackSoon(t *testing.T) {
	for many, most := range map[int]int{1: 1, perSecond - 1: 1, 5 * perSecond: 6} {
		when := make(map[uint32]int)
		for range 1000 {
			when[errShutdown.soon(many).retry]++
		}
		if len(when) != most || when[0] > 0 || when[uint32(most)] == 0 {
			t.Errorf("%d are told to come back after seconds: %v", many, when)
		}
	}
}

// At the end everybody is told when to come back.
func TestShutdown(t *testing.T) {
	inWorld(t, func(w *world) {
		var all []*client
		for i := range 20 {
			all = append(all, w.login(i, "user "+string(rune('a'+i))))
		}
		w.stop()
		for _, c := range all {
			if r := c.isRefused(wire.Refused_CODE_SHUTDOWN); r.RetrySeconds != 1 {
				t.Errorf("try again in %d s", r.RetrySeconds)
			}
		}
	})
}

func TestIntroduction(t *testing.T) {
	inWorld(t, func(w *world) {
		ann, bo, cho := w.login(1, "Ann"), w.login(2, "Bo"), w.login(3, "Cho")
		hide := status(&wire.Status{Presence: wire.Presence_PRESENCE_INVISIBLE})
		ann.send(hide)
		cho.send(hide)
		bo.sees("Bo")
		introduce := func(to identity.Key) *wire.ToCoordinator {
			return &wire.ToCoordinator{Body: &wire.ToCoordinator_Introduce{Introduce: &wire.Introduce{
				Device: publicKey(to), ProbeKey: make([]byte, 32),
				Candidates: []*wire.Candidate{{Kind: wire.Candidate_KIND_HOST, Address: wire.Address(serverAddr)}},
			}}}
		}
		ann.send(introduce(bo.key))
		i := bo.hears("Ann's introduction", func(m *wire.ToClient) bool { return m.GetIntroduction() != nil }).GetIntroduction()
		if i.User.Name != "Ann" || len(i.User.Devices) != 1 || !slices.Equal(i.Device, publicKey(ann.key)) || len(i.Candidates) != 1 || len(i.ProbeKey) != 32 {
			t.Errorf("the introduction is %v", i)
		}
		ann.send(introduce(cho.key)) // who is invisible
		ann.send(introduce(ann.key))
		ann.send(introduce(identity.NewKey()))
		ann.ping()
		ann.ping()
		for _, c := range []*client{ann, cho} {
			if len(c.heard) != 0 {
				t.Errorf("%s heard %v", c.name, c.heard)
			}
		}
		ann.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_Introduce{Introduce: &wire.Introduce{Device: []byte("short")}}})
		ann.isRefused(wire.Refused_CODE_MALFORMED)
	})
}

// A new device comes in by a code that another one shows.
func TestJoinByCode(t *testing.T) {
	inWorld(t, func(w *world) {
		ann, bo := w.login(1, "Ann"), w.login(2, "Bo")
		code, tablet := identity.NewJoinCode(), identity.NewKey()
		account := classic.NameKey("Ann")
		join := func(c identity.JoinCode, answer func(*wire.JoinRequest) []byte) *client {
			device := w.dial(3, "ann", tablet)
			device.sendHello(func(h *wire.Hello) { h.JoinProof, h.DeviceLabel = c.Proof(account, tablet.Public()), "tablet" })
			r := ann.hears("a request", func(m *wire.ToClient) bool { return m.GetJoinRequest() != nil }).GetJoinRequest()
			if r.Label != "tablet" || !slices.Equal(r.Device, publicKey(tablet)) {
				t.Errorf("the request is %v", r)
			}
			if answer != nil {
				ann.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_JoinAnswer{JoinAnswer: &wire.JoinAnswer{Id: r.Id, Signature: answer(r)}}})
			}
			return device
		}
		right := func(r *wire.JoinRequest) []byte {
			if !code.Verify(account, identity.PublicKey(r.Device), r.Proof) {
				return nil
			}
			return ann.key.Endorse(account, identity.PublicKey(r.Device))
		}
		start := time.Now()
		join(identity.NewJoinCode(), right).isRefused(wire.Refused_CODE_JOIN_FAILED)
		join(code, func(r *wire.JoinRequest) []byte { return bo.key.Endorse(account, tablet.Public()) }).isRefused(wire.Refused_CODE_JOIN_FAILED)
		if took := time.Since(start); took > time.Second {
			t.Errorf("two wrong answers took %v", took)
		}
		join(code, nil).isRefused(wire.Refused_CODE_JOIN_FAILED) // no answer
		if took := time.Since(start); took < joinTime {
			t.Errorf("no answer took %v", took)
		}
		device := join(code, right)
		device.sees("Ann", "Bo")
		e := bo.user("Ann", "with two devices", func(u *wire.User) bool { return len(u.Devices) == 2 && u.Devices[1].Online }).Devices[1]
		if len(e.Endorsements) != 1 || identity.VerifyEndorsement(ann.key.Public(), account, tablet.Public(), e.Endorsements[0].Signature) != nil {
			t.Errorf("the device is %v", e)
		}
		// Whoever guesses has five tries a minute.
		refused := 0
		for range 10 {
			other := w.dial(4, "Ann", identity.NewKey())
			other.sendHello(func(h *wire.Hello) { h.JoinProof = make([]byte, 32) })
			for _, c := range []*client{ann, device} {
				if synctest.Wait(); len(c.heard) > 0 {
					r := c.hears("a request", func(m *wire.ToClient) bool { return true }).GetJoinRequest()
					c.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_JoinAnswer{JoinAnswer: &wire.JoinAnswer{Id: r.Id}}})
				}
			}
			if other.isRefused(wire.Refused_CODE_JOIN_FAILED).RetrySeconds > 0 {
				refused++
			}
		}
		if refused < 7 {
			t.Errorf("%d of 10 guesses were too many", refused)
		}
		bo.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_JoinAnswer{JoinAnswer: &wire.JoinAnswer{Id: 1}}})
		bo.ping()
	})
}

// The coordinator passes on what classic users say to everyone, and never waits
// for who doesn't take it.
func TestGroupTalk(t *testing.T) {
	inWorld(t, func(w *world) {
		ann := w.login(1, "Ann")
		w.server.GroupTalk("老王", "大家好 \xff")
		m := ann.hears("a group message", func(m *wire.ToClient) bool { return m.GetGroupTalk() != nil }).GetGroupTalk()
		if m.Sender != "老王" || m.Text != "大家好 \uFFFD" {
			t.Errorf("got %v", m)
		}
	})
}

// What a newer client says, and what nobody has heard of, is skipped.
func TestUnknownFrames(t *testing.T) {
	inWorld(t, func(w *world) {
		ann := w.login(1, "Ann")
		if _, err := ann.conn.Write([]byte{0, 0, 0, 0, 0, 0, 0, 4, 0xfa, 0x07, 1, 'x'}); err != nil {
			t.Fatal(err)
		}
		ann.send(&wire.ToCoordinator{Body: &wire.ToCoordinator_Pong{}})
		ann.ping()
		ann.sendHello()
		ann.isRefused(wire.Refused_CODE_MALFORMED)
	})
}

// A session that the log has left behind gets the whole roster anew.
func TestFallsBehind(t *testing.T) {
	inWorld(t, func(w *world) {
		ann := w.login(1, "Ann")
		gate := make(chan struct{})
		ann.mu.Lock()
		ann.gate = gate
		ann.mu.Unlock()
		large := strings.Repeat("x", 280)
		for i := range 3 * roster.MaxLog {
			u, _, err := w.roster.Add(roster.User{Name: "flicker", Secure: &roster.Secure{Status: roster.Status{Text: large}}})
			if err != nil {
				t.Fatal(err)
			}
			w.roster.Leave(u.ID)
			if i%1000 == 0 {
				time.Sleep(time.Millisecond) // many rounds, so that the writer meets a reader who has stopped
			}
		}
		ann.mu.Lock()
		ann.gate = nil
		ann.mu.Unlock()
		close(gate)
		ann.until("a second snapshot", func() bool { return ann.wholes == 2 })
		_, at := w.roster.Snapshot()
		ann.until("the last change", func() bool { return ann.sequence == at.Seq })
		ann.sees("Ann")
	})
}

// Account changes that are told late find what has happened since.
func TestLateAccountChange(t *testing.T) {
	inWorld(t, func(w *world) {
		ann := w.login(1, "Ann")
		now, _ := w.accounts.Lookup("Ann")
		w.server.AccountChanged(now, engine.Account{Name: "Ann"}) // before the device was added
		ann.ping()
		w.server.AccountChanged(engine.Account{Name: "Nobody"}, engine.Account{})
		w.accounts.mu.Lock()
		delete(w.accounts.accounts, "ann")
		w.accounts.mu.Unlock()
		w.server.AccountChanged(now, engine.Account{})
		ann.isRefused(wire.Refused_CODE_DEVICE_REMOVED)
	})
}

// With the accounts on a disk.
func TestRealAccounts(t *testing.T) {
	var b *bed
	e, err := engine.Open(t.Context(), engine.Config{Dir: t.TempDir(), OnChange: func(before, after engine.Account) { b.server.AccountChanged(before, after) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	b = serveReal(t, func(c *Config) { c.Accounts = e })
	ann, bo := b.login("Ann"), b.login("Bo")
	ann.sees("Ann", "Bo")
	if err := e.RemoveDevice(context.Background(), "bo", bo.key.Public()); err != nil {
		t.Fatal(err)
	}
	bo.isRefused(wire.Refused_CODE_DEVICE_REMOVED)
	ann.sees("Ann")
	thief := newClient(b, osNet, b.addr, "ann", identity.NewKey())
	thief.sendHello()
	thief.isRefused(wire.Refused_CODE_NAME_TAKEN)
}
