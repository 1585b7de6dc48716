package storm

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"earshot/p2p"
	"earshot/protocol/identity"
	wire "earshot/protocol/relay"
	"earshot/svc/control"
	"earshot/svc/engine"
	"earshot/svc/relay"
	"earshot/svc/roster"
)

// tap is a relay that keeps all it reads and writes, as it is within TLS.
type tap struct {
	*relay.Server
	mu    sync.Mutex
	conns []*tapConn
}

// Serve implements control.Relay.
func (t *tap) Serve(ctx context.Context, conn net.Conn, device identity.PublicKey) error {
	c := &tapConn{Conn: conn, device: device}
	t.mu.Lock()
	t.conns = append(t.conns, c)
	t.mu.Unlock()
	return t.Server.Serve(ctx, c, device)
}

type tapConn struct {
	net.Conn
	device      identity.PublicKey
	mu          sync.Mutex
	read, wrote bytes.Buffer
}

func (c *tapConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read.Write(b[:n])
	return n, err
}

func (c *tapConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrote.Write(b[:n])
	return n, err
}

// frames are all that a stream is made of.
func frames(t *testing.T, stream []byte) (all []wire.Frame) {
	t.Helper()
	in := bufio.NewReader(bytes.NewReader(stream))
	for {
		var f wire.Frame
		err := wire.Read(in, &f)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Packet = slices.Clone(f.Packet)
		all = append(all, f)
	}
}

// tapped serves the secure protocol alone, with a relay that is tapped, for
// those who are made from now on.
func (w *world) tapped() *tap {
	w.at = netip.AddrPortFrom(w.at.Addr().Next(), w.at.Port())
	packets, err := relay.New(relay.Config{})
	if err != nil {
		w.Fatal(err)
	}
	t := &tap{Server: packets}
	listener, err := w.sim.Host(w.at.Addr()).Listen(context.Background(), w.at)
	if err != nil {
		w.Fatal(err)
	}
	certificate := w.key.Certificate()
	server, err := control.New(control.Config{
		Listener: listener, Roster: roster.New(), Accounts: w.accounts, Relay: t,
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
	})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop := w.stop
	w.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			w.Error(err)
		}
		stop()
	}
	return t
}

// run is how many bytes of something secret in a row are a finding.
const run = 8

// secrets are all runs of what must not be seen, each with what it is of.
type secrets map[[run]byte]string

func (s secrets) add(t *testing.T, what string, b []byte) {
	t.Helper()
	if len(b) < run {
		t.Fatalf("%s is too short to be told from chance", what)
	}
	for i := range len(b) - run + 1 {
		s[[run]byte(b[i:])] = what
	}
}

// addText adds a text, as it may be written.
func (s secrets) addText(t *testing.T, what, text string) {
	t.Helper()
	s.add(t, what+" in UTF-8", []byte(text))
	var little, big []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		little, big = binary.LittleEndian.AppendUint16(little, unit), binary.BigEndian.AppendUint16(big, unit)
	}
	s.add(t, what+" in UTF-16LE", little)
	s.add(t, what+" in UTF-16BE", big)
}

// find returns what of the secrets is in b, or "".
func (s secrets) find(b []byte) string {
	for i := range max(0, len(b)-run+1) {
		if what, found := s[[run]byte(b[i:])]; found {
			return what
		}
	}
	return ""
}

// Two people who have no other way talk through the relay, and it, which sees
// what is within TLS, finds nothing of what they say, or of who they are but
// their devices' keys in the heads of its own frames.
func TestRelaySeesNothing(t *testing.T) {
	inWorldAt(t, publicServer, func(w *world) {
		w.sim.Latency(15 * time.Millisecond)
		tap := w.tapped()
		blocked, pair := places[5], keys()
		ann := w.person("Annemarie Überall", w.put(blocked, 1).host, pair[0])
		bo := w.person("Bogislaw 波格斯瓦夫", w.put(blocked, 2).host, pair[1])
		ann.sees(bo)
		bo.sees(ann)
		s := make(secrets)
		var want []string // what Bo is to have
		say := func(from, to *person, body p2p.Body, text string) p2p.ItemID {
			item := p2p.Item{At: time.Now(), Body: body}
			rand.Read(item.ID[:])
			s.add(w.T, "an item's ID", item.ID[:])
			s.addText(w.T, "a text", text)
			w.wait("an item", from.post(to, item), 20*time.Second, ann, bo)
			return item.ID
		}
		for _, p := range []*person{ann, bo} {
			public := p.key.Public()
			id := public.ID()
			s.addText(w.T, "a name", p.name)
			s.add(w.T, "a device's key", public[:])
			s.add(w.T, "a device's ID", id[:])
			s.add(w.T, "a certificate", p.key.Certificate().Certificate[0])
		}
		text := func(text string) p2p.ItemID {
			want = append(want, text)
			return say(ann, bo, p2p.Text{Text: text}, text)
		}
		first := text("The treasure lies under the third oak, twelve paces north of the mill.")
		text("宝藏埋在磨坊以北十二步的第三棵橡树下，请勿告诉任何人。")
		say(bo, ann, p2p.Text{Text: "Then I shall bring a spade, and a lantern."}, "Then I shall bring a spade, and a lantern.")
		edited := "It was the fourth oak, I am sorry: count again from the mill."
		want = append(want, "edited: "+edited)
		say(ann, bo, p2p.Edit{Of: first, Text: edited}, edited)
		same := strings.Repeat("Dig, dig, dig! ", 60)
		for range 30 {
			text(same)
		}
		long := make([]byte, p2p.MaxText)
		for i := range long {
			long[i] = 'a' + byte(mustInt(26))
		}
		text(string(long))
		synctest.Wait()
		for _, p := range [][2]*person{{ann, bo}, {bo, ann}} {
			if got := p[0].route(p[1]); got != p2p.RouteRelayed {
				w.Errorf("%s reaches %s %v", p[0].name, p[1].name, got)
			}
		}
		ann.stop()
		bo.stop()
		if !slices.Equal(bo.got, want) {
			w.Errorf("Bo has %d items, of %d", len(bo.got), len(want))
		}
		tap.look(w.T, s, pair, len(long)+30*len(same))
	})
}

func mustInt(n int64) int64 {
	i, err := rand.Int(rand.Reader, big.NewInt(n))
	if err != nil {
		panic(err) // there is always randomness
	}
	return i.Int64()
}

// look looks at all there was for secrets. So much was said, at least.
func (t *tap) look(test *testing.T, s secrets, pair []identity.Key, said int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	in, out := make(map[identity.PublicKey]int), make(map[identity.PublicKey]int) // bytes, by whom they are for
	seen := make(map[string]bool)
	sizes := make(map[int]int)
	var all bytes.Buffer
	deflated, _ := flate.NewWriter(&all, flate.BestCompression)
	plain := 0
	for _, c := range t.conns {
		for _, f := range frames(test, c.read.Bytes()) {
			check(test, s, f)
			if f.Type != wire.Packet {
				continue
			}
			in[f.Device] += len(f.Packet)
			plain += len(f.Packet)
			_, _ = deflated.Write(f.Packet)
			if seen[string(f.Packet)] {
				test.Errorf("two packets of %d bytes are the same", len(f.Packet))
			}
			seen[string(f.Packet)] = true
			sizes[len(f.Packet)]++
		}
	}
	for _, c := range t.conns {
		for _, f := range frames(test, c.wrote.Bytes()) {
			check(test, s, f)
			if f.Type != wire.Packet {
				continue
			}
			out[c.device] += len(f.Packet)
			if !seen[string(f.Packet)] {
				test.Error("a packet came out that had not gone in")
			}
		}
	}
	_ = deflated.Close()
	most := 0
	for _, n := range sizes {
		most = max(most, n)
	}
	test.Logf("%d connections, %d packets with %d bytes, %d of one size; compressed %d bytes", len(t.conns), len(seen), plain, most, all.Len())
	if most < 30 || plain < said {
		test.Errorf("only %d bytes were carried, and at most %d packets of one size", plain, most)
	}
	if all.Len() < plain*95/100 {
		test.Errorf("%d bytes of packets can be compressed to %d", plain, all.Len())
	}
	for _, key := range pair {
		if public := key.Public(); out[public] > in[public] || out[public] < in[public]*9/10 {
			test.Errorf("%d bytes came for a device and %d went to it", in[public], out[public])
		}
	}
	// It would find what is there.
	around := bytes.Repeat([]byte{0xEE}, 100)
	for piece, what := range s {
		if s.find(slices.Concat(around, piece[:], around)) == "" {
			test.Fatalf("%s is not found", what)
		}
	}
	if what := s.find(around); what != "" {
		test.Errorf("%s is found in nothing", what)
	}
}

// check looks at one frame, but for the device that its head names.
func check(test *testing.T, s secrets, f wire.Frame) {
	test.Helper()
	switch f.Type {
	case wire.Packet:
		if what := s.find(f.Packet); what != "" {
			test.Errorf("in a packet of %d bytes is a piece of %s", len(f.Packet), what)
		}
	case wire.Open, wire.Close, wire.State, wire.Ping, wire.Pong: // a key, a status, a number
	default:
		test.Errorf("there is a frame of type %d", f.Type)
	}
}

// raw makes a connection to the relay with this certificate, or none.
func (w *world) raw(host byte, certificates ...tls.Certificate) (*tls.Conn, error) {
	conn, err := w.sim.Host(netip.AddrFrom4([4]byte{10, 9, 0, host})).Dial(context.Background(), w.at)
	if err != nil {
		w.Fatal(err)
	}
	config := identity.ClientTLS(tls.Certificate{}, identity.ALPNRelay, identity.Expect(w.key.Public()))
	config.Certificates = certificates
	secure := tls.Client(conn, config)
	return secure, secure.Handshake()
}

// refused checks that a connection to the relay serves nobody: it ends without
// a word to what is asked.
func (w *world) refused(what string, conn *tls.Conn, err error) {
	w.Helper()
	if err == nil { // TLS 1.3 tells a client later what is wrong with its certificate
		_, _ = conn.Write(wire.AppendPing(nil, [8]byte{1}))
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		var n int
		n, err = conn.Read(make([]byte, 100))
		if nerr, ok := errors.AsType[net.Error](err); n > 0 || err == nil || ok && nerr.Timeout() {
			w.Errorf("%s is served: %d bytes, %v", what, n, err)
		}
	}
	_ = conn.NetConn().Close()
}

// Only devices that belong to somebody have a connection to the relay, and only
// for so long.
func TestRelayIsForDevices(t *testing.T) {
	inWorld(t, func(w *world) {
		conn, err := w.raw(2)
		w.refused("nobody", conn, err)
		other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, &template, &template, other.Public(), other)
		if err != nil {
			t.Fatal(err)
		}
		conn, err = w.raw(3, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: other})
		w.refused("a certificate of another kind", conn, err)
		// A certificate that another device has made, whose key nobody has here.
		stolen := identity.NewKey().Certificate()
		stolen.PrivateKey = identity.NewKey().Certificate().PrivateKey
		conn, err = w.raw(4, stolen)
		w.refused("a stolen certificate", conn, err)
		conn, err = w.raw(5, identity.NewKey().Certificate())
		w.refused("a stranger", conn, err)
		pending := identity.NewKey()
		w.accounts.change("Pen", func(a *engine.Account) {
			a.Pending, a.Devices = true, []engine.Device{{Key: pending.Public()}}
		})
		conn, err = w.raw(6, pending.Certificate())
		w.refused("one who awaits approval", conn, err)

		ann, bo := identity.NewKey(), identity.NewKey()
		var conns []*tls.Conn
		var ins []*bufio.Reader
		for i, key := range []identity.Key{ann, bo} {
			w.accounts.change(fmt.Sprint("person ", i), func(a *engine.Account) { a.Devices = []engine.Device{{Key: key.Public()}} })
			conn, err := w.raw(byte(10+i), key.Certificate())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.NetConn().Close()
			conns, ins = append(conns, conn), append(ins, bufio.NewReader(conn))
			if _, err := conn.Write(wire.AppendOpen(nil, []identity.Key{bo, ann}[i].Public())); err != nil {
				t.Fatal(err)
			}
			settle(time.Second)
		}
		reads := func(of int, want wire.Status) {
			t.Helper()
			var f wire.Frame
			if err := wire.Read(ins[of], &f); err != nil || f.Type != wire.State || f.Status != want {
				t.Fatalf("%d read %+v, %v, want %v", of, f, err, want)
			}
		}
		reads(0, wire.Gone)
		reads(0, wire.Ready)
		reads(1, wire.Ready)
		w.accounts.change("person 0", func(a *engine.Account) { a.Devices = nil })
		reads(1, wire.Gone)
		if err := wire.Read(ins[0], new(wire.Frame)); err == nil {
			t.Error("a device that was removed reads on")
		}
		conn, err = w.raw(12, ann.Certificate())
		w.refused("a device that was removed", conn, err)
		if _, err := conns[1].Write(wire.AppendPing(nil, [8]byte{7})); err != nil {
			t.Fatal(err)
		}
		var f wire.Frame
		if err := wire.Read(ins[1], &f); err != nil || f.Type != wire.Pong {
			t.Errorf("the other one read %+v, %v", f, err)
		}
	})
}
