package relay

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"earshot/protocol/identity"
	wire "earshot/protocol/relay"
)

// conn is one device's connection. It has a reader, which is Serve's goroutine,
// and a writer. The reader hands packets to other connections' queues and never
// waits for them.
type conn struct {
	s       *Server
	network net.Conn
	device  identity.PublicKey
	account *account
	queue   wire.Queue // for the writer
	wake    chan struct{}
	done    chan struct{} // closed with the connection's end

	// open are the devices that this one has opened. Only the reader changes
	// it, with Server.mu held, so that it alone may read it without.
	open map[identity.PublicKey]*wish
	// overQuota is the reader's: the quota was used up when it last looked.
	overQuota bool

	mu     sync.Mutex // guards what follows
	states map[identity.PublicKey]wire.Status
	pong   [8]byte
	pongs  bool // pong is to be sent
	ended  bool
	cause  error // why; may be read once the writer has ended
}

// wish is what a device has with one that it has opened.
type wish struct {
	// peer is the other device's connection while packets go there.
	peer atomic.Pointer[conn]
	told wire.Status // what c was told last; guarded by Server.mu
}

// set notes how c stands with a device, and has c be told if it is news.
func (w *wish) set(c *conn, device identity.PublicKey, other *conn, status wire.Status, answer bool) {
	if status != wire.Ready {
		other = nil
	}
	w.peer.Store(other)
	if w.told != status || answer {
		w.told = status
		c.tell(device, status)
	}
}

// tell has the device be told about another one. Only what is true when it is
// written is written.
func (c *conn) tell(device identity.PublicKey, status wire.Status) {
	c.mu.Lock()
	c.states[device] = status
	c.mu.Unlock()
	c.poke()
}

func (c *conn) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// end ends the connection; the first cause counts.
func (c *conn) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended, c.cause = true, cause
	close(c.done)
	_ = c.network.SetDeadline(time.Unix(1, 0)) // wakes both
}

// readBy and writeBy set deadlines, unless the connection has ended.
func (c *conn) readBy(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		_ = c.network.SetReadDeadline(t)
	}
}

func (c *conn) writeBy(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		_ = c.network.SetWriteDeadline(t)
	}
}

// readers are buffers of about half a TLS record: what is in one is handed on
// before anybody is woken.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 8<<10) }}

// read takes frames until the connection ends, and returns why.
func (c *conn) read() error {
	in := readers.Get().(*bufio.Reader)
	in.Reset(c.network)
	defer func() {
		in.Reset(nil)
		readers.Put(in)
	}()
	var f wire.Frame
	var out outgoing
	defer out.flush(c.s.metrics)
	now := time.Now()
	for {
		waits := !wire.Buffered(in)
		if waits {
			out.flush(c.s.metrics)
			c.readBy(time.Now().Add(silentTime))
		}
		err := wire.Read(in, &f)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return ErrSilent
		case err != nil:
			return err
		}
		if waits {
			now = time.Now()
		}
		if f.Type == wire.Packet {
			if wait := c.forward(&f, now, &out); wait > 0 {
				out.flush(c.s.metrics)
				c.rest(wait)
				now = time.Now()
			}
			continue
		}
		if !c.account.request(now, c.s.cfg.Limits.MaxOpen) {
			return ErrFlood
		}
		c.take(&f, now)
	}
}

// take is a frame that is no packet.
func (c *conn) take(f *wire.Frame, now time.Time) {
	switch f.Type {
	case wire.Open, wire.Close:
		c.s.request(c, f.Device, f.Type == wire.Open)
	case wire.Ping:
		if c.overQuota && !c.account.over(now, c.s.cfg.Limits.BytesPerDay) {
			c.overQuota = false // it is another day
			c.s.review(c)
		}
		c.mu.Lock()
		c.pong, c.pongs = f.Data, true
		c.mu.Unlock()
		c.poke()
	}
}

// outgoing is what a reader has handed on since it last waited.
type outgoing struct {
	to             []*conn // who are to be woken
	packets, bytes int
}

func (o *outgoing) flush(m *metrics) {
	if o.packets == 0 {
		return
	}
	m.packets.Add(float64(o.packets))
	m.bytes.Add(float64(o.bytes))
	for _, c := range o.to {
		c.poke()
	}
	clear(o.to)
	*o = outgoing{to: o.to[:0]}
}

// leastRest is the shortest time for which a reader stops.
const leastRest = 5 * time.Millisecond

// forward hands a packet on, or drops it. It returns how long to read nothing.
func (c *conn) forward(f *wire.Frame, now time.Time, out *outgoing) (wait time.Duration) {
	limits, m := &c.s.cfg.Limits, c.s.metrics
	within, wait := c.account.arrive(len(f.Packet), now, limits.BytesPerSecond)
	if wait < leastRest {
		wait = 0
	}
	if !within {
		m.rate.Inc()
		return wait
	}
	var peer *conn
	if w := c.open[f.Device]; w != nil {
		peer = w.peer.Load()
	}
	switch {
	case peer == nil && c.overQuota:
		m.quota.Inc()
		return wait
	case peer == nil:
		m.unwanted.Inc()
		return wait
	}
	if c.account.spend(len(f.Packet), now, limits.BytesPerDay) {
		c.overQuota = true
		c.s.cfg.Log.Warn("a device has used up what the relay carries for it in a day", "device", c.device.ID().Short())
		c.s.review(c) // this packet still goes
	}
	if !peer.queue.Put(&c.device, f.Packet) {
		m.slow.Inc()
		return wait
	}
	out.packets++
	out.bytes += len(f.Packet)
	if !slices.Contains(out.to, peer) {
		out.to = append(out.to, peer)
	}
	return wait
}

// rest waits, or until the connection ends.
func (c *conn) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.done:
	}
}

// write writes what is there to be written, until the connection ends.
func (c *conn) write() {
	var answers []byte
	var batch wire.Batch
	for {
		select {
		case <-c.wake:
		case <-c.done:
			return
		}
		answers = c.answers(answers[:0])
		if len(answers) > 0 && !c.send(answers) {
			return
		}
		c.queue.Take(&batch)
		for row := batch.Next(); row != nil; row = batch.Next() {
			if !c.send(row) {
				return
			}
			batch.Drop()
		}
	}
}

// answers appends the frames that are no packets.
func (c *conn) answers(dst []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for device, status := range c.states {
		dst = wire.AppendState(dst, device, status)
	}
	clear(c.states)
	if c.pongs {
		dst = wire.AppendPong(dst, c.pong)
		c.pongs = false
	}
	return dst
}

// send writes, or ends the connection.
func (c *conn) send(b []byte) bool {
	c.writeBy(time.Now().Add(writeTime))
	_, err := c.network.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrSlow
	}
	if err != nil {
		c.end(err)
	}
	return err == nil
}
