package secure

import (
	"fmt"
	"net/netip"
	"time"

	"earshot/p2p"
	"earshot/p2p/classic"
	wirec "earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// presences are the wire's, by p2p's.
var presences = [...]wire.Presence{
	p2p.Online:    wire.Presence_PRESENCE_ONLINE,
	p2p.Away:      wire.Presence_PRESENCE_AWAY,
	p2p.Busy:      wire.Presence_PRESENCE_BUSY,
	p2p.Invisible: wire.Presence_PRESENCE_INVISIBLE,
}

func wireStatus(s p2p.Status) *wire.Status {
	return &wire.Status{Presence: presences[s.Presence], Text: s.Text, DisplayName: s.Display, Department: s.Department}
}

func statusOf(s *wire.Status) p2p.Status {
	status := p2p.Status{Text: s.GetText(), Display: s.GetDisplayName(), Department: s.GetDepartment()}
	for presence, w := range presences {
		if w == s.GetPresence() {
			status.Presence = p2p.Presence(presence)
		}
	}
	return status
}

// personOf is a user of the roster. Devices whose keys are none are left out.
func personOf(u *wire.User) p2p.Person {
	person := p2p.Person{Name: u.GetName(), Status: statusOf(u.GetStatus()), Devices: devicesOf(u.GetDevices())}
	if contact, ok := contactOf(u.GetClassic()); ok {
		person.Addr = contact.Addr
	}
	return person
}

func devicesOf(list []*wire.Device) (devices []p2p.Device) {
	for _, d := range list {
		key, err := identity.ParsePublicKey(d.GetKey())
		if err != nil {
			continue
		}
		device := p2p.Device{Key: key, Label: d.GetLabel(), Online: d.GetOnline()}
		for _, e := range d.GetEndorsements() {
			if by, err := identity.ParsePublicKey(e.GetBy()); err == nil {
				device.Endorsements = append(device.Endorsements, p2p.Endorsement{By: by, Signature: e.GetSignature()})
			}
		}
		devices = append(devices, device)
	}
	return devices
}

// contactOf is how a user is reached by the classic protocol, if at all.
func contactOf(c *wire.Classic) (classic.Contact, bool) {
	at, err := wire.ParseAddress(c.GetEndpoint())
	if err != nil {
		return classic.Contact{}, false
	}
	contact := classic.Contact{Addr: at, Encoding: wirec.UTF16LE}
	switch c.GetEncoding() {
	case wire.Encoding_ENCODING_UTF8:
		contact.Encoding = wirec.UTF8
	case wire.Encoding_ENCODING_GB18030:
		contact.Encoding = wirec.GB18030
	}
	return contact, true
}

// addressesOf are where a device may be reached.
func addressesOf(candidates []*wire.Candidate) (list []netip.AddrPort) {
	for _, c := range candidates {
		if at, err := wire.ParseAddress(c.GetAddress()); err == nil && at.Port() != 0 {
			list = append(list, at)
		}
	}
	return list
}

func hostCandidates(addrs []netip.AddrPort) (list []*wire.Candidate) {
	for _, a := range addrs {
		list = append(list, &wire.Candidate{Kind: wire.Candidate_KIND_HOST, Address: wire.Address(a)})
	}
	return list
}

var audiences = [...]wire.Audience_Kind{
	p2p.Direct:     wire.Audience_KIND_DIRECT,
	p2p.Several:    wire.Audience_KIND_SEVERAL,
	p2p.Department: wire.Audience_KIND_DEPARTMENT,
	p2p.Everyone:   wire.Audience_KIND_EVERYONE,
}

// wireItem is an item as it goes to a device.
func wireItem(i p2p.Item) *wire.Item {
	out := &wire.Item{Id: i.ID[:], SentAt: i.At.UnixMilli(), CopyOf: i.CopyOf}
	if i.Audience.Kind != p2p.Direct {
		out.Audience = &wire.Audience{
			Kind: audiences[i.Audience.Kind], Department: i.Audience.Department,
			Count: uint32(i.Audience.Count), Names: i.Audience.Names,
		}
	}
	switch b := i.Body.(type) {
	case p2p.Text:
		text := &wire.Text{Text: b.Text, Urgent: b.Urgent}
		if b.ReplyTo != (p2p.ItemID{}) {
			text.ReplyTo = b.ReplyTo[:]
		}
		out.Body = &wire.Item_Text{Text: text}
	case p2p.Edit:
		out.Body = &wire.Item_Edit{Edit: &wire.Edit{Of: b.Of[:], Text: b.Text}}
	case p2p.Delete:
		out.Body = &wire.Item_Delete{Delete: &wire.Delete{Of: b.Of[:]}}
	case p2p.Seen:
		seen := new(wire.Seen)
		for _, id := range b.Of {
			seen.Of = append(seen.Of, id[:])
		}
		out.Body = &wire.Item_Seen{Seen: seen}
	case p2p.Acknowledge:
		out.Body = &wire.Item_Acknowledge{Acknowledge: &wire.Acknowledge{Of: b.Of[:]}}
	}
	return out
}

// errItem is an item that nothing can be done with.
var errItem = fmt.Errorf("%w: The program there does not understand this message; it may be older than the one that sent it", p2p.ErrRefusedItem)

// itemOf is an item that came from a device.
func itemOf(w *wire.Item) (p2p.Item, error) {
	item := p2p.Item{At: time.UnixMilli(w.GetSentAt()), CopyOf: w.GetCopyOf()}
	var ok bool
	if item.ID, ok = itemID(w.GetId()); !ok {
		return item, errItem
	}
	if a := w.GetAudience(); a != nil {
		item.Audience = p2p.Audience{Department: a.GetDepartment(), Count: int(a.GetCount()), Names: a.GetNames()}
		for kind, w := range audiences {
			if w == a.GetKind() {
				item.Audience.Kind = p2p.AudienceKind(kind)
			}
		}
	}
	switch b := w.GetBody().(type) {
	case *wire.Item_Text:
		text := p2p.Text{Text: b.Text.GetText(), Urgent: b.Text.GetUrgent()}
		if len(b.Text.GetReplyTo()) > 0 {
			text.ReplyTo, ok = itemID(b.Text.GetReplyTo())
		}
		item.Body, ok = text, ok && len(text.Text) <= p2p.MaxText
	case *wire.Item_Edit:
		var of p2p.ItemID
		of, ok = itemID(b.Edit.GetOf())
		item.Body, ok = p2p.Edit{Of: of, Text: b.Edit.GetText()}, ok && len(b.Edit.GetText()) <= p2p.MaxText
	case *wire.Item_Delete:
		var of p2p.ItemID
		of, ok = itemID(b.Delete.GetOf())
		item.Body = p2p.Delete{Of: of}
	case *wire.Item_Seen:
		seen := p2p.Seen{}
		for _, id := range b.Seen.GetOf() {
			if of, valid := itemID(id); valid {
				seen.Of = append(seen.Of, of)
			}
		}
		item.Body = seen
	case *wire.Item_Acknowledge:
		var of p2p.ItemID
		of, ok = itemID(b.Acknowledge.GetOf())
		item.Body = p2p.Acknowledge{Of: of}
	default:
		ok = false
	}
	if !ok {
		return item, errItem
	}
	return item, nil
}

func itemID(b []byte) (p2p.ItemID, bool) {
	if len(b) != len(p2p.ItemID{}) {
		return p2p.ItemID{}, false
	}
	return p2p.ItemID(b), true
}
