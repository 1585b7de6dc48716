package p2p

import "time"

// MaxText is the longest text of one item, in bytes of UTF-8.
const MaxText = 64 << 10

// ItemID tells an item from every other one of its sender's account. It is zero
// for what came by the classic protocol.
type ItemID [16]byte

// Item is something that its receiver stores exactly once.
type Item struct {
	ID ItemID
	// At is when it was sent, by the sender's clock.
	At       time.Time
	Audience Audience
	// CopyOf is set on a copy for another device of the same account: the
	// conversation that it belongs to, by the sender's engine.
	CopyOf string
	Body   Body
}

// Body is what an item says.
type Body interface{ body() }

type (
	// Text is a message.
	Text struct {
		Text string
		// ReplyTo is the item that it answers; zero for none.
		ReplyTo ItemID
		// Urgent asks the receiver for an Acknowledge.
		Urgent bool
	}
	// Edit is a new text for an item of the same sender.
	Edit struct {
		Of   ItemID
		Text string
	}
	// Delete takes an item of the same sender back.
	Delete struct{ Of ItemID }
	// Seen says that the person has seen these items of the receiver's.
	Seen struct{ Of []ItemID }
	// Acknowledge is the person's answer to an urgent text.
	Acknowledge struct{ Of ItemID }
)

func (Text) body()        {}
func (Edit) body()        {}
func (Delete) body()      {}
func (Seen) body()        {}
func (Acknowledge) body() {}

// AudienceKind says what sort of audience a text went to.
type AudienceKind uint8

const (
	Direct AudienceKind = iota
	Several
	Department
	Everyone
)

// Audience is to whom a text went. The zero value is the receiver alone.
type Audience struct {
	Kind       AudienceKind
	Department string
	// Count is how many people it went to; Names are the first of them.
	Count int
	Names []string
}
