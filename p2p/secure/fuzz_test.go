package secure

import (
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"earshot/p2p"
	wirec "earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// FuzzItem reads whatever item another device may send: it is refused for
// good, or is understood, and then means the same when it is passed on.
func FuzzItem(f *testing.F) {
	id, of := p2p.ItemID{1}, p2p.ItemID{2}
	at := time.UnixMilli(1_700_000_000_123)
	for _, item := range []p2p.Item{
		{ID: id, At: at, Body: p2p.Text{Text: "你好", ReplyTo: of, Urgent: true},
			Audience: p2p.Audience{Kind: p2p.Department, Department: "QA", Count: 30, Names: []string{"Bo"}}},
		{ID: id, At: at, CopyOf: "Bo", Body: p2p.Edit{Of: of, Text: "new"}},
		{ID: id, At: at, Body: p2p.Delete{Of: of}},
		{ID: id, At: at, Body: p2p.Seen{Of: []p2p.ItemID{of, id}}},
		{ID: id, At: at, Body: p2p.Acknowledge{Of: of}},
	} {
		w := wireItem(item)
		if got, err := itemOf(w); err != nil || !reflect.DeepEqual(got, item) {
			f.Fatalf("the seed %+v reads as %+v, %v", item, got, err)
		}
		b, err := proto.Marshal(w)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := new(wire.Item)
		if proto.Unmarshal(b, w) != nil {
			return
		}
		item, err := itemOf(w)
		if err != nil {
			if !errors.Is(err, p2p.ErrRefusedItem) {
				t.Fatal(err)
			}
			return
		}
		if text, ok := item.Body.(p2p.Text); item.Body == nil || ok && len(text.Text) > p2p.MaxText {
			t.Fatalf("%v is let through", w)
		}
		again, err := itemOf(wireItem(item))
		if item.Audience.Kind == p2p.Direct {
			item.Audience = p2p.Audience{} // of which nothing else is said
		}
		if err != nil || !reflect.DeepEqual(again, item) {
			t.Fatalf("%+v is passed on as %+v, %v", item, again, err)
		}
	})
}

// FuzzUser puts whatever a coordinator may tell of a user into the directory:
// every device that is known can be found by its key, and none is anybody
// else's.
func FuzzUser(f *testing.F) {
	key, by := identity.PublicKey{1}, identity.PublicKey{2}
	at := netip.MustParseAddrPort("[2001:db8::7]:9")
	seed := &wire.User{Id: 7, Name: "Ann", Status: wireStatus(p2p.Status{Presence: p2p.Busy, Text: "会议", Department: "QA"}),
		Devices: []*wire.Device{{Key: key[:], Label: "desk", Online: true, Candidates: hostCandidates([]netip.AddrPort{at}),
			Endorsements: []*wire.Endorsement{{By: by[:], Signature: []byte("x")}}}},
		Classic: &wire.Classic{Endpoint: wire.Address(at), Encoding: wire.Encoding_ENCODING_GB18030}}
	person := personOf(seed)
	if contact, ok := contactOf(seed.Classic); !ok || contact.Encoding != wirec.GB18030 || person.Addr != at ||
		len(person.Devices) != 1 || len(person.Devices[0].Endorsements) != 1 || person.Status.Presence != p2p.Busy {
		f.Fatalf("the seed reads as %+v", person)
	}
	b, err := proto.Marshal(seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		u := new(wire.User)
		if proto.Unmarshal(b, u) != nil || wirec.ValidateName(u.GetName()) != nil {
			return // the mirror lets no such name through
		}
		d := newDirectory("me")
		person := d.put(u)
		if !reflect.DeepEqual(person, personOf(u)) || len(person.Devices) > len(u.GetDevices()) {
			t.Fatalf("%v is put as %+v", u, person)
		}
		for _, device := range person.Devices {
			name, at, ok := d.lookup(device.Key)
			if !ok || name != u.GetName() {
				t.Fatalf("a device of %q is %q's", u.GetName(), name)
			}
			for _, a := range at {
				if !a.IsValid() || a.Port() == 0 {
					t.Fatalf("it is dialled at %v", a)
				}
			}
		}
		if contact, ok := d.contact(u.GetName()); ok != contact.Addr.IsValid() || ok && contact.Addr != person.Addr {
			t.Fatalf("%+v is reached at %+v, %v", person, contact, ok)
		}
		d.drop(u.GetName(), time.Now())
		if _, ok := d.contact(u.GetName()); ok || len(d.devices) != 0 {
			t.Fatal("somebody who has left is there")
		}
	})
}

// FuzzJoin answers whatever a coordinator may claim of a new device: only the
// proof of the code on offer gets a signature, once.
func FuzzJoin(f *testing.F) {
	key, code := identity.NewKey(), identity.NewJoinCode()
	device := identity.NewKey().Public()
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	answered := func(account string, request *wire.JoinRequest) (*offer, *wire.JoinAnswer) {
		o := &offer{code: code, expires: now.Add(offerFor)}
		return o, o.answer(key, account, request, now)
	}
	proof := code.Proof("ann", device)
	seed := &wire.JoinRequest{Id: 9, Device: device[:], Label: "desk", Proof: proof}
	if _, answer := answered("ann", seed); identity.VerifyEndorsement(key.Public(), "ann", device, answer.GetSignature()) != nil {
		f.Fatal("the seed gets no signature")
	}
	f.Add("ann", device[:], proof)
	f.Add("bo", device[:], proof)
	f.Add("ann", device[:31], proof)
	f.Fuzz(func(t *testing.T, account string, device, proof []byte) {
		request := &wire.JoinRequest{Id: 9, Device: device, Proof: proof}
		o, answer := answered(account, request)
		if answer.GetId() != 9 {
			t.Fatalf("the answer is to %d", answer.GetId())
		}
		if len(answer.GetSignature()) == 0 {
			return
		}
		public, err := identity.ParsePublicKey(device)
		if err != nil || !code.Verify(account, public, proof) || identity.VerifyEndorsement(key.Public(), account, public, answer.GetSignature()) != nil {
			t.Fatal("a signature for nothing")
		}
		if again := o.answer(key, account, request, now); len(again.GetSignature()) != 0 {
			t.Fatal("a code is good twice")
		}
	})
}
