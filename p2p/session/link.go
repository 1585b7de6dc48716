package session

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"earshot/p2p"
	"earshot/protocol/hostnet"
	"earshot/protocol/wire"

	"github.com/quic-go/quic-go"
)

const (
	// maxUnstored bounds the items of one device that are not stored yet.
	maxUnstored = 16
	// writeWithin is how long a device may take nothing.
	writeWithin = 30 * time.Second
)

// nudge is frames that say nothing: enough of them that a device which has
// forgotten the connection can answer with a stateless reset, whose size must
// be below that of what it answers (RFC 9000, 10.3).
var nudge = make([]byte, 16*headerSize)

// link is a connection after the hello of both sides.
type link struct {
	id      linkID
	conn    *quic.Conn
	stream  *quic.Stream
	in      *reader
	lane    *lane
	dialled bool
	name    string         // whom the device belongs to
	at      netip.AddrPort // zero for the relay
	used    atomic.Int64   // when an item last arrived, Unix time in ns

	mu    sync.Mutex
	out   []leaving // what the stream has no room for
	wake  chan struct{}
	going bool // the writer has some of it in hand
}

// leaving is a frame, and what to do once the stream has taken it.
type leaving struct {
	frame []byte
	taken func()
}

var linkIDs atomic.Uint64

// greet exchanges hellos on a new connection, which it closes on error.
func (e *Endpoint) greet(ctx context.Context, on *lane, conn *quic.Conn, name string, dialled bool) (*link, error) {
	l := &link{id: linkID(linkIDs.Add(1)), lane: on, conn: conn, dialled: dialled, name: name,
		at: hostnet.AddrPort(conn.RemoteAddr()), wake: make(chan struct{}, 1)}
	err := l.exchange(ctx, hello(e.cfg.Name))
	if err == nil {
		return l, nil
	}
	why := codeSilent
	if errors.Is(err, errFrame) || errors.Is(err, wire.ErrFrame) || errors.Is(err, errVersion) || errors.Is(err, errName) {
		why = rejects(err)
	}
	closeConn(conn, why)
	return nil, err
}

func (l *link) exchange(ctx context.Context, mine []byte) (err error) {
	if l.dialled {
		l.stream, err = l.conn.OpenStreamSync(ctx)
	} else {
		l.stream, err = l.conn.AcceptStream(ctx)
	}
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	if err := l.stream.SetDeadline(deadline); err != nil {
		return err
	}
	// During the hello the deadline is the hello's.
	l.in = newReader(l.stream, func(time.Time) error { return nil })
	if l.dialled {
		if _, err := l.stream.Write(mine); err != nil {
			return err
		}
	}
	if _, _, err := l.in.next(func(f *wire.ToPeer) error { return checkHello(f, l.name) }); err != nil {
		return err
	}
	if !l.dialled {
		if _, err := l.stream.Write(mine); err != nil {
			return err
		}
	}
	l.in.deadline = l.stream.SetReadDeadline
	return l.stream.SetDeadline(time.Time{})
}

// vital is how the connection is.
func (l *link) vital() vital {
	stats := l.conn.ConnectionStats()
	return vital{stats.PacketsReceived, time.Unix(0, l.used.Load()), stats.SmoothedRTT}
}

// send has a frame leave, after those before it. It never blocks. taken, which
// may be nil, is called once the stream has taken the frame, or the connection
// has ended.
func (l *link) send(frame []byte, taken func()) {
	l.mu.Lock()
	if !l.going && len(l.out) == 0 {
		if err := l.stream.TryWriteAll(frame); !errors.Is(err, quic.ErrWouldBlock) {
			l.mu.Unlock()
			if taken != nil {
				taken()
			}
			return
		}
	}
	l.out = append(l.out, leaving{frame, taken})
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write carries what send couldn't, until the connection ends.
func (l *link) write() {
	done := l.conn.Context().Done()
	for {
		select {
		case <-l.wake:
		case <-done:
		}
		for batch := l.take(); len(batch) > 0; batch = l.take() {
			for _, f := range batch {
				_ = l.stream.SetWriteDeadline(time.Now().Add(writeWithin)) // fails the write
				if _, err := l.stream.Write(f.frame); err != nil {
					closeConn(l.conn, codeStuck) // unless it has ended
				}
				if f.taken != nil {
					f.taken()
				}
			}
		}
		if l.conn.Context().Err() != nil {
			return // from now on send is told at once
		}
	}
}

// take returns what is to be written. It is called again when that is done.
func (l *link) take() []leaving {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := l.out
	l.out, l.going = nil, len(batch) > 0
	return batch
}

// read reports what arrives until the connection ends, and says why it did.
func (l *link) read(d *device) code {
	for {
		f, size, err := l.in.next(checkFrame)
		if err == nil {
			err = d.pace(l.conn.Context(), size)
		}
		if err == nil {
			err = l.handle(d, f)
		}
		if err != nil {
			return l.ended(d, err)
		}
	}
}

// ended closes the connection after an error of read.
func (l *link) ended(d *device, err error) code {
	switch {
	case errors.Is(err, errFrame), errors.Is(err, wire.ErrFrame):
		d.e.log.Warn("a device broke the protocol", "device", d.key.ID().Short(), "name", l.name, "at", l.at, "error", err)
		closeConn(l.conn, codeMalformed)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		closeConn(l.conn, codeMalformed) // only connections end
	default:
		closeConn(l.conn, codeStuck) // unless it has ended
	}
	return codeOf(context.Cause(l.conn.Context()))
}

func (l *link) handle(d *device, f *wire.ToPeer) error {
	switch b := f.GetBody().(type) {
	case *wire.ToPeer_Item:
		return l.receive(d, b.Item)
	case *wire.ToPeer_Ack:
		if result, ok := ackOf(b.Ack); ok {
			d.box.put(result)
		}
	case *wire.ToPeer_Typing:
		l.used.Store(time.Now().UnixNano())
		d.e.on(Typing{From: d.key, Name: l.name, Active: b.Typing.GetActive()})
	}
	return nil
}

// ackOf is what an Ack says; one whose result is none of ours says nothing.
func ackOf(a *wire.Ack) (evAck, bool) {
	ack := evAck{id: [idSize]byte(a.GetId())}
	switch a.GetResult() {
	case wire.Ack_RESULT_STORED:
		return ack, true
	case wire.Ack_RESULT_REFUSED:
		ack.refused = refusal{a.GetSentence()}
		return ack, true
	}
	return ack, false
}

// refusal is the other device's sentence on an item that it will never take.
type refusal struct{ sentence string }

func (r refusal) Error() string {
	if r.sentence == "" {
		return p2p.ErrRefusedItem.Error()
	}
	return r.sentence
}

func (refusal) Unwrap() error { return p2p.ErrRefusedItem }

// receive reports an item, once there is room for it.
func (l *link) receive(d *device, item *wire.Item) error {
	select {
	case d.unstored <- struct{}{}:
	case <-l.conn.Context().Done():
		return context.Cause(l.conn.Context())
	}
	l.used.Store(time.Now().UnixNano())
	id := item.GetId()
	var once sync.Once
	d.e.on(Item{From: d.key, Name: l.name, Item: item, Done: func(err error) {
		once.Do(func() { l.stored(d, id, err) })
	}})
	return nil
}

// stored tells the sender what became of an item, and makes room for another.
func (l *link) stored(d *device, id []byte, err error) {
	ack := &wire.Ack{Id: id, Result: wire.Ack_RESULT_STORED}
	switch {
	case errors.Is(err, p2p.ErrRefusedItem):
		ack.Result, ack.Sentence = wire.Ack_RESULT_REFUSED, sentence(err)
	case err != nil:
		d.e.log.Info("an item can't be stored now", "device", d.key.ID().Short(), "name", l.name, "error", err)
		d.box.put(evLater{l.id})
		d.release()
		return
	}
	l.send(wire.Append(nil, &wire.ToPeer{Body: &wire.ToPeer_Ack{Ack: ack}}), d.release)
}

// maxSentence bounds the sentence of a refusal, in bytes.
const maxSentence = 1 << 10

// sentence is what a refusal tells the sender: the error without the family.
func sentence(err error) string {
	text := err.Error()
	text = strings.TrimPrefix(text, p2p.ErrRefusedItem.Error()+": ")
	return strings.ToValidUTF8(text[:min(len(text), maxSentence)], "")
}
