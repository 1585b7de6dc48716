package load

import (
	"fmt"
	"hash/maphash"

	"google.golang.org/protobuf/encoding/protowire"

	"earshot/protocol/wire"
)

// What a crowd reads of the frames of wire.ToClient, by hand: to decode them as
// a client does would cost a crowd more than a coordinator takes to write them.
const (
	frameSnapshot   = 3  // ToClient.snapshot
	frameDelta      = 4  // ToClient.delta
	framePong       = 7  // ToClient.pong
	frameCompressed = 11 // ToClient.deflate

	pongKeepalive = 1 // Pong.keepalive_seconds

	userID     = 1 // User.id
	userName   = 2 // User.name
	userStatus = 3 // User.status
	statusText = 2 // Status.text
)

func errCut(what string) error { return fmt.Errorf("%w: a %s is cut or garbled", ErrLoad, what) }

// parseFrame returns which field of ToClient a frame has, and its bytes.
func parseFrame(frame []byte) (protowire.Number, []byte, error) {
	number, kind, n := protowire.ConsumeTag(frame)
	if n < 0 || kind != protowire.BytesType {
		return 0, nil, errCut("frame")
	}
	body, m := protowire.ConsumeBytes(frame[n:])
	if m < 0 || n+m != len(frame) {
		return 0, nil, errCut("frame")
	}
	return number, body, nil
}

// fields calls f for each field of a message, with the value of a varint or the
// bytes of anything else.
func fields(message []byte, f func(number protowire.Number, value uint64, body []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errCut("message")
		}
		message = message[n:]
		var value uint64
		var body []byte
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			body, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return errCut("message")
		}
		message = message[n:]
		if err := f(number, value, body); err != nil {
			return err
		}
	}
	return nil
}

// parseSnapshot reads a Snapshot.
func parseSnapshot(body []byte) (*frame, error) {
	f := new(frame)
	err := fields(body, func(number protowire.Number, value uint64, user []byte) error {
		switch number {
		case 2: // sequence
			f.sequence = value
		case 3: // users
			u, err := parseUser(user)
			f.users = append(f.users, u)
			f.digest.add(u)
			return err
		case 4: // more
			f.more = value != 0
		}
		return nil
	})
	return f, err
}

// parseCompressed reads a Snapshot that is compressed; it is nil if it was
// something else.
func parseCompressed(body []byte) (*frame, error) {
	inner, err := wire.DecompressBytes(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLoad, err)
	}
	kind, body, err := parseFrame(inner)
	if err != nil || kind != frameSnapshot {
		return nil, err
	}
	return parseSnapshot(body)
}

// parseSequence reads the first field of a Delta, its sequence, and returns the
// others.
func parseSequence(body []byte) (sequence uint64, rest []byte, err error) {
	number, kind, n := protowire.ConsumeTag(body)
	if n < 0 || number != 1 || kind != protowire.VarintType {
		return 0, nil, errCut("change")
	}
	sequence, m := protowire.ConsumeVarint(body[n:])
	if m < 0 {
		return 0, nil, errCut("change")
	}
	return sequence, body[n+m:], nil
}

// parseChange reads who came, was changed or has gone.
func parseChange(rest []byte) (e entry, err error) {
	err = fields(rest, func(number protowire.Number, value uint64, user []byte) error {
		switch number {
		case 2: // put
			e, err = parseUser(user)
			return err
		case 3: // gone
			e.id = value
		}
		return nil
	})
	if err == nil && e.id == 0 {
		err = errCut("change")
	}
	return e, err
}

// parseUser reads a User.
func parseUser(user []byte) (e entry, err error) {
	var name, text []byte
	err = fields(user, func(number protowire.Number, value uint64, body []byte) error {
		switch number {
		case userID:
			e.id = value
		case userName:
			name = body
		case userStatus:
			return fields(body, func(number protowire.Number, _ uint64, body []byte) error {
				if number == statusText {
					text = body
				}
				return nil
			})
		}
		return nil
	})
	e.whole = maphash.Bytes(seed, user) | 1
	e.face = face(name, text)
	return e, err
}
