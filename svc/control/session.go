package control

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/limit"
	"earshot/svc/roster"
	"earshot/svc/rush"
)

// maxQueue is how many frames beyond the roster's a session may be behind. What
// comes then is dropped: it is a flood, or nobody reads.
const maxQueue = 256

// session is a device that has logged in.
type session struct {
	server *Server
	conn   *tls.Conn
	raw    net.Conn
	from   netip.Addr
	key    identity.PublicKey
	// endpoint, if valid, is where the device takes classic datagrams.
	endpoint netip.AddrPort
	encoding classic.Encoding
	deflates bool // it takes compressed frames
	guarded  bool // the system watches the other host

	// These belong to Server.mu.
	person     *person
	candidates []roster.Candidate // as the device gave them
	seen       []netip.Addr       // hosts at which it is known to be
	token      string             // its USERNAME for STUN
	asked      map[identity.PublicKey]time.Time
	ended      bool

	// These belong to the reader.
	requests limit.Pace

	// These belong to the writer, once it runs. The zero position asks for
	// everybody.
	at       roster.Position
	wrote    time.Time   // the last change
	deadline time.Time   // of writes, as it was set last
	round    *time.Timer // nil when nothing goes on
	paused   bool        // what is written next has waited for a round's end
	busy     bool        // so had what was written last

	wake chan struct{} // to the writer: something is said, or the session ended
	done chan struct{} // closed by the writer at its end

	mu    sync.Mutex // guards what stands below
	queue [][]byte
	pong  bool // an answer to a Ping is due
	over  bool // last is all that is still to be said
	last  []byte
	// keepalive is what the client was told of it, or will be with the next
	// answer to a Ping.
	keepalive time.Duration
	retell    bool
}

// start runs the session.
func (c *session) start() {
	c.server.serving.Go(c.read)
	c.server.serving.Go(c.write)
}

// capabilities are those of the client that this coordinator has, too.
func (c *session) capabilities() []string {
	if c.deflates {
		return []string{wire.CapabilityDeflate}
	}
	return nil
}

// say queues a frame, which must not be changed any more.
func (c *session) say(frame []byte) {
	c.mu.Lock()
	if len(c.queue) < maxQueue {
		c.queue = append(c.queue, frame)
	} else {
		c.server.metrics.drop("queue full")
	}
	c.mu.Unlock()
	c.nudge()
}

func (c *session) nudge() {
	select {
	case c.wake <- struct{}{}:
	default: // it has been told
	}
}

// finish has the writer say a last word, if there is one, and end.
func (c *session) finish(last *refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over, c.queue = true, nil
	if last != nil {
		c.last = last.frame()
	}
	now := time.Now()
	_ = c.raw.SetWriteDeadline(now.Add(lastWordTime))
	_ = c.raw.SetReadDeadline(now.Add(lastWordTime))
	c.nudge()
}

// endFor ends the session for a reason of the connection's.
func (c *session) endFor(reason string, last *refusal) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.end(c, reason, last)
}

// pongFrame answers nearly every Ping.
var pongFrame = wire.Append(nil, &wire.ToClient{Body: &wire.ToClient_Pong{Pong: new(wire.Pong)}})

// keepaliveFor is how often each of so many devices is to say something.
func keepaliveFor(online int64, guarded bool) time.Duration {
	pings := int64(maxPings)
	if guarded {
		pings = guardedPings
	}
	k := keepalive
	for k < longestKeepalive && online > pings*int64(k/time.Second) {
		k *= 2
	}
	return k
}

// pinged has the writer answer a Ping, and tell the client if its next ones are
// to come at other times. That is decided here, in the reader, whose next
// deadline follows from it.
func (c *session) pinged() {
	c.mu.Lock()
	c.pong = true
	if k := keepaliveFor(c.server.online.Load(), c.guarded); k != c.keepalive {
		c.keepalive, c.retell = k, true
	}
	c.mu.Unlock()
	c.nudge()
}

// answer is the answer to a Ping. The mutex is held.
func (c *session) answer() []byte {
	if !c.retell {
		return pongFrame
	}
	c.retell = false
	return wire.Append(nil, &wire.ToClient{Body: &wire.ToClient_Pong{Pong: &wire.Pong{KeepaliveSeconds: uint32(c.keepalive.Seconds())}}})
}

// take returns what is to be written besides the roster, and whether that is
// the end.
func (c *session) take() (own []byte, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return c.last, true
	}
	switch len(c.queue) {
	case 0:
	case 1:
		own = c.queue[0]
	default:
		own = bytes.Join(c.queue, nil)
	}
	c.queue = nil
	if c.pong {
		c.pong = false
		own = append(own[:len(own):len(own)], c.answer()...)
	}
	return own, false
}

// write is the writer: it says what is queued, and what the roster's log has
// behind the session's position.
func (c *session) write() {
	defer close(c.done)
	for {
		own, over := c.take()
		if over {
			if len(own) > 0 {
				_, _ = c.conn.Write(own)
				_ = c.conn.CloseWrite()
			}
			_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // nothing more is asked of the reader
			return
		}
		var err error
		if over := c.server.cfg.Rush.Over(); over != nil {
			err = c.hold(own, over)
		} else {
			err = c.tell(own)
		}
		if err != nil {
			reason := "connection lost"
			if errors.Is(err, os.ErrDeadlineExceeded) {
				reason = "does not read"
			}
			c.endFor(reason, nil)
			_ = c.raw.SetReadDeadline(time.Unix(1, 0))
			return
		}
	}
}

// hold writes what is queued, or waits until the rush is over or something else
// is to be said.
func (c *session) hold(own []byte, over <-chan struct{}) error {
	if len(own) > 0 {
		c.writeTime()
		_, err := c.conn.Write(own)
		return err
	}
	select {
	case <-over:
	case <-c.wake:
	}
	return nil
}

// tell writes what is queued and what of the roster the client doesn't know, or
// waits until there may be something.
func (c *session) tell(own []byte) error {
	frames, next, err := c.server.cfg.Roster.Frames(c.at)
	switch {
	case err != nil:
		return c.writeWhole(own)
	case len(own) == 0 && len(frames) == 0:
		c.rest()
		return nil
	case len(own) == 0 && c.early():
		return nil // what comes meanwhile goes in one write with it
	}
	if len(own) > 0 {
		frames = append(own[:len(own):len(own)], frames...)
	}
	c.writeTime()
	if _, err := c.conn.Write(frames); err != nil {
		return err
	}
	if next != c.at {
		c.wrote, c.busy, c.paused = time.Now(), c.paused, false
		c.server.metrics.delivered.Add(float64(next.Seq - c.at.Seq))
		c.at = next
	}
	return nil
}

// rest waits until there may be something to write. In the middle of a storm it
// first waits for the end of the round: whoever sleeps until then is woken
// once a round, and not by its first change, too.
func (c *session) rest() {
	if c.busy {
		c.busy = false
		if c.early() {
			return
		}
	}
	c.round, c.paused = nil, false
	select {
	case <-c.wake:
	case <-c.server.cfg.Roster.Changed(c.at):
	}
}

// early waits, if a change was written less than a round ago, until the round
// is over or something else is to be said. It is false if nobody had to wait.
func (c *session) early() bool {
	wait := rush.Round(int(c.server.online.Load())) - time.Since(c.wrote)
	if wait <= 0 {
		return false
	}
	if c.round == nil {
		c.round = time.NewTimer(wait)
	} else {
		c.round.Reset(wait)
	}
	c.paused = true
	select {
	case <-c.round.C:
	case <-c.wake:
	}
	return true
}

// writeWhole writes what is queued, and everybody, a piece at a time so that no
// reader, however slow, has more than one piece's buffer.
func (c *session) writeWhole(own []byte) error {
	whole, at := c.server.cfg.Roster.Whole()
	var err error
	if frames := whole.Shared(c.deflates); frames != nil {
		err = c.writeShared(own, frames)
	} else {
		err = c.writeFrames(own, whole)
	}
	if err != nil {
		return err
	}
	c.at = at
	c.server.metrics.snapshots.Inc()
	return nil
}

// writeShared writes frames that others write, too.
func (c *session) writeShared(own, frames []byte) error {
	const piece = 64 << 10
	for b := own; len(b) > 0 || len(frames) > 0; b = nil {
		if len(b) == 0 {
			n := min(piece, len(frames))
			b, frames = frames[:n], frames[n:]
		}
		c.writeTime()
		if _, err := c.conn.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// writeFrames writes frames as they are put together.
func (c *session) writeFrames(own []byte, whole *roster.Whole) error {
	buf := c.server.buffers.Get().(*[]byte)
	defer c.server.buffers.Put(buf)
	*buf = append((*buf)[:0], own...)
	for {
		frames, ok := whole.Next(*buf)
		if !ok {
			return nil
		}
		*buf = frames[:0]
		c.writeTime()
		if _, err := c.conn.Write(frames); err != nil {
			return err
		}
	}
}

// writeTime gives the next write its time, unless the session is over. To move
// a deadline costs a timer of the runtime, so one that is a second short stays.
func (c *session) writeTime() {
	now := time.Now()
	if c.deadline.Sub(now) > writeTime-time.Second {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.deadline = now.Add(writeTime)
		_ = c.raw.SetWriteDeadline(c.deadline)
	}
}

// readTime gives the next frame its time, unless the session is over.
func (c *session) readTime() (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		_ = c.raw.SetReadDeadline(time.Now().Add(silentTime + c.keepalive - keepalive))
	}
	return c.over
}

// read is the reader: it does what the client asks for until the connection
// ends, and then closes it.
func (c *session) read() {
	defer c.server.close(c.raw, c.from)
	var err error
	for err == nil {
		if c.readTime() {
			break
		}
		m := new(wire.ToCoordinator)
		if err = wire.Read(c.conn, wire.MaxToCoordinator, m); err == nil {
			err = c.serve(m)
		}
	}
	if err != nil {
		c.endFor(c.judge(err))
	}
	<-c.done
	// What the client has said and nobody read would have the system throw
	// away what the client has yet to read.
	_ = c.raw.SetReadDeadline(time.Now().Add(lingerTime))
	if c.lastWord() {
		drain(c.raw)
	}
}

func (c *session) lastWord() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.last) > 0
}

// drain reads what is still under way, until the other side closes, the deadline
// passes, or it is too much.
func drain(r io.Reader) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
}

// judge says why a session ends whose reader met an error, and what the client
// is told.
func (c *session) judge(err error) (reason string, last *refusal) {
	if r, ok := errors.AsType[refusal](err); ok {
		return r.reason, &r
	}
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, wire.ErrFrame):
		c.server.cfg.Log.Warn("a client sent what is no frame", "device", c.key.ID().Short(), "from", c.from, "error", err)
		last := errMalformed
		return last.reason, &last
	case errors.As(err, &record):
		return "broken record", nil
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return "silent", nil
	case errors.Is(err, io.EOF):
		return "logout", nil
	}
	return "connection lost", nil
}
