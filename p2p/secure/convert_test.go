package secure

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"earshot/p2p"
	wirec "earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// What one side says as an item, the other one reads as the same.
func TestItems(t *testing.T) {
	id, of := p2p.ItemID{1, 2}, p2p.ItemID{3}
	at := time.UnixMilli(1_700_000_000_123)
	for _, item := range []p2p.Item{
		{ID: id, At: at, Body: p2p.Text{Text: "你好"}},
		{ID: id, At: at, Body: p2p.Text{Text: "x", ReplyTo: of, Urgent: true},
			Audience: p2p.Audience{Kind: p2p.Department, Department: "Sales", Count: 30, Names: []string{"Ann", "Bo"}}},
		{ID: id, At: at, CopyOf: "Ann", Body: p2p.Text{Text: strings.Repeat("x", p2p.MaxText)}, Audience: p2p.Audience{Kind: p2p.Several}},
		{ID: id, At: at, Body: p2p.Text{Text: "all"}, Audience: p2p.Audience{Kind: p2p.Everyone}},
		{ID: id, At: at, Body: p2p.Edit{Of: of, Text: "new"}},
		{ID: id, At: at, Body: p2p.Delete{Of: of}},
		{ID: id, At: at, Body: p2p.Seen{Of: []p2p.ItemID{of, id}}},
		{ID: id, At: at, Body: p2p.Acknowledge{Of: of}},
	} {
		b, err := proto.Marshal(wireItem(item))
		if err != nil {
			t.Fatal(err)
		}
		var w wire.Item
		if err := proto.Unmarshal(b, &w); err != nil {
			t.Fatal(err)
		}
		if got, err := itemOf(&w); err != nil || !reflect.DeepEqual(got, item) {
			t.Errorf("got %+v, %v, not %+v", got, err, item)
		}
		if len(b) > wire.MaxToPeer {
			t.Errorf("%d bytes", len(b))
		}
	}
}

// What can't be understood is refused, so that its sender doesn't come again.
func TestBadItems(t *testing.T) {
	id := make([]byte, 16)
	text := &wire.Item_Text{Text: &wire.Text{Text: "x"}}
	for name, w := range map[string]*wire.Item{
		"empty":         {},
		"no body":       {Id: id},
		"short ID":      {Id: id[1:], Body: text},
		"long text":     {Id: id, Body: &wire.Item_Text{Text: &wire.Text{Text: strings.Repeat("x", p2p.MaxText+1)}}},
		"bad reply":     {Id: id, Body: &wire.Item_Text{Text: &wire.Text{Text: "x", ReplyTo: []byte{1}}}},
		"bad edit":      {Id: id, Body: &wire.Item_Edit{Edit: &wire.Edit{}}},
		"bad delete":    {Id: id, Body: &wire.Item_Delete{}},
		"bad ack":       {Id: id, Body: &wire.Item_Acknowledge{}},
		"long edit":     {Id: id, Body: &wire.Item_Edit{Edit: &wire.Edit{Of: id, Text: strings.Repeat("x", p2p.MaxText+1)}}},
		"nothing in it": {Id: id, Body: (*wire.Item_Text)(nil)},
	} {
		if name == "nothing in it" {
			w.Body = nil
		}
		if _, err := itemOf(w); !errors.Is(err, p2p.ErrRefusedItem) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func user(name string, device identity.PublicKey, at ...string) *wire.User {
	d := &wire.Device{Key: device[:], Label: "desk", Online: true}
	for _, a := range at {
		d.Candidates = append(d.Candidates, &wire.Candidate{Kind: wire.Candidate_KIND_HOST, Address: wire.Address(netip.MustParseAddrPort(a))})
	}
	return &wire.User{Name: name, Devices: []*wire.Device{d}, Status: wireStatus(p2p.Status{Presence: p2p.Away, Text: "lunch"})}
}

func TestDirectory(t *testing.T) {
	ann, bo, ghost := identity.NewKey().Public(), identity.NewKey().Public(), identity.NewKey().Public()
	d := newDirectory("Me")
	classic := &wire.User{Name: "Old", Classic: &wire.Classic{
		Endpoint: wire.Address(netip.MustParseAddrPort("10.0.0.9:9")), Encoding: wire.Encoding_ENCODING_GB18030,
	}}
	me := user("me", identity.NewKey().Public(), "10.0.0.1:1")
	people, self := d.replace([]*wire.User{user("Ann", ann, "10.0.0.2:2", "[2001:db8::2]:2"), classic, me}, time.Now())
	if len(people) != 2 || self.Name != "me" || people[0].Status.Presence != p2p.Away || !people[0].Secure() || people[1].Secure() {
		t.Fatalf("%+v, %+v", people, self)
	}
	if name, at, ok := d.lookup(ann); !ok || name != "Ann" || len(at) != 2 {
		t.Errorf("Ann: %q, %v, %v", name, at, ok)
	}
	if c, ok := d.contact("OLD"); !ok || c.Encoding != wirec.GB18030 || c.Addr.Port() != 9 {
		t.Errorf("Old: %+v, %v", c, ok)
	}
	if _, ok := d.contact("Ann"); ok {
		t.Error("Ann can be reached by the classic protocol")
	}
	// Whoever leaves, or isn't on a coordinator's first list after a restart, is
	// known for a while.
	d.drop("ann", time.Now())
	if name, _, ok := d.lookup(ann); !ok || name != "Ann" {
		t.Errorf("Ann has left and is %q, %v", name, ok)
	}
	d.put(user("Bo", bo, "10.0.0.3:3"))
	d.replace(nil, time.Now())
	if name, at, ok := d.lookup(bo); !ok || name != "Bo" || len(at) != 1 {
		t.Errorf("Bo: %q, %v, %v", name, at, ok)
	}
	d.introduced(ghost, "Ghost", []netip.AddrPort{netip.MustParseAddrPort("10.0.0.4:4")}, time.Now())
	if name, at, ok := d.lookup(ghost); !ok || name != "Ghost" || len(at) != 1 {
		t.Errorf("Ghost: %q, %v, %v", name, at, ok)
	}
	// ... but not for ever, and not without a bound.
	d.introduced(ghost, "Ghost", nil, time.Now().Add(-2*rememberFor))
	if _, _, ok := d.lookup(ghost); ok {
		t.Error("Ghost is remembered for ever")
	}
	for range 2 * maxRemembered {
		d.introduced(identity.PublicKey{1, byte(len(d.gone)), byte(len(d.gone) >> 8)}, "X", nil, time.Now())
	}
	if len(d.gone) > maxRemembered {
		t.Errorf("%d are remembered", len(d.gone))
	}
	// The person's own devices are known though nobody sees them.
	second := identity.NewKey().Public()
	d.account(&wire.Account{Name: "me", Devices: user("me", second, "10.0.0.5:5").Devices})
	if name, _, ok := d.lookup(second); !ok || name != "me" {
		t.Errorf("the own device: %q, %v", name, ok)
	}
}

// A code lets one device in, once, and only for a while.
func TestOffer(t *testing.T) {
	key, device := identity.NewKey(), identity.NewKey().Public()
	now := time.Now()
	code := identity.NewJoinCode()
	request := &wire.JoinRequest{Id: 7, Device: device[:], Proof: code.Proof("ann", device)}
	fresh := func() *offer { return &offer{code: code, expires: now.Add(time.Minute)} }
	o := fresh()
	answer := o.answer(key, "ann", request, now)
	if answer.Id != 7 || identity.VerifyEndorsement(key.Public(), "ann", device, answer.Signature) != nil {
		t.Fatalf("%+v", answer)
	}
	for name, answer := range map[string]*wire.JoinAnswer{
		"twice":           o.answer(key, "ann", request, now),
		"too late":        fresh().answer(key, "ann", request, now.Add(time.Minute)),
		"another account": fresh().answer(key, "bo", request, now),
		"no offer":        new(offer).answer(key, "ann", request, now),
		"another device":  fresh().answer(key, "ann", &wire.JoinRequest{Device: make([]byte, 32), Proof: request.Proof}, now),
		"no device":       fresh().answer(key, "ann", &wire.JoinRequest{Proof: request.Proof}, now),
	} {
		if len(answer.Signature) != 0 {
			t.Errorf("%s: endorsed", name)
		}
	}
}
