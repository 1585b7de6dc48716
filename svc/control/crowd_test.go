package control

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// A crowd is N clients in a process of their own, so that what they use is not
// taken for the coordinator's. It is this test's program with crowdEnv set,
// and does what lines of its input say:
//
//	keys N             answer when N keys and certificates are made
//	connect N ADDRESS  make N bare TLS connections; frames count as they come
//	login N ADDRESS    log N users in, without an answer
//	until SEQUENCE     answer when everybody knows the roster up to there
//
// Each but login is answered by a line. That of until is followed by another one
// when it has come true: when half, 99 in 100 and all of them knew (Unix time
// in ns).
const crowdEnv = "EARSHOT_TEST_CROWD"

// isCrowd is asked by TestMain.
func isCrowd() bool { return os.Getenv(crowdEnv) != "" }

// runCrowd is the crowd's main.
func runCrowd() {
	c := &crowdMembers{reached: make(chan struct{}, 1)}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var n int
		var sequence uint64
		var to string
		switch line := lines.Text(); {
		case scan(line, "until %d", &sequence):
			c.arm(sequence)
			fmt.Println("armed")
			go func() {
				<-c.reached
				slices.Sort(c.times)
				fmt.Println(c.times[len(c.times)/2], c.times[len(c.times)*99/100], c.times[len(c.times)-1])
			}()
		case scan(line, "keys %d", &n):
			c.certificates = make([]tls.Certificate, n)
			for i := range c.certificates {
				c.certificates[i] = identity.NewKey().Certificate()
			}
			fmt.Println("made")
		case scan(line, "connect %d %s", &n, &to):
			c.members(n, netip.MustParseAddrPort(to), false)
			fmt.Println("connected")
		case scan(line, "login %d %s", &n, &to):
			c.members(n, netip.MustParseAddrPort(to), true)
		}
	}
}

func scan(line, format string, to ...any) bool {
	n, err := fmt.Sscanf(line, format, to...)
	return err == nil && n == len(to)
}

type crowdMembers struct {
	target  atomic.Uint64
	reached chan struct{}
	// certificates are those that were asked for; others are made as needed.
	certificates []tls.Certificate

	mu    sync.Mutex
	times []int64 // of those who have reached the target
	all   int
}

// arm is called while nobody moves.
func (c *crowdMembers) arm(sequence uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times = nil
	c.target.Store(sequence)
}

// members connects n, 64 at a time.
func (c *crowdMembers) members(n int, to netip.AddrPort, login bool) {
	c.mu.Lock()
	c.all = n
	c.mu.Unlock()
	var working sync.WaitGroup
	next := make(chan int)
	for range 64 {
		working.Go(func() {
			for i := range next {
				c.member(i, to, login)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	working.Wait()
}

func (c *crowdMembers) member(i int, to netip.AddrPort, login bool) {
	raw, err := hostnet.OS.Dial(context.Background(), to)
	if err != nil {
		panic(err)
	}
	var certificate tls.Certificate
	if i < len(c.certificates) {
		certificate = c.certificates[i]
	} else {
		certificate = identity.NewKey().Certificate()
	}
	conn := tls.Client(raw, identity.ClientTLS(certificate, identity.ALPNControl, nil))
	if err := conn.Handshake(); err != nil {
		panic(err)
	}
	if login {
		hello := (&client{name: fmt.Sprintf("user %d", i)}).hello()
		if _, err := conn.Write(wire.Append(nil, &wire.ToCoordinator{Body: &wire.ToCoordinator_Hello{Hello: hello}})); err != nil {
			panic(err)
		}
	}
	go c.follow(conn, login)
}

// follow reads frames as cheaply as one can: what matters is how far they go.
func (c *crowdMembers) follow(conn io.Reader, login bool) {
	in := bufio.NewReaderSize(conn, 16<<10)
	var body []byte
	var at uint64
	var header [4]byte
	for {
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return
		}
		size := int(binary.BigEndian.Uint32(header[:]))
		body = slices.Grow(body[:0], size)[:size]
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		before := at
		if at++; login {
			at = max(before, sequenceOf(body))
		}
		if target := c.target.Load(); before < target && at >= target {
			c.reach()
		}
	}
}

func (c *crowdMembers) reach() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times = append(c.times, time.Now().UnixNano())
	if len(c.times) == c.all {
		c.reached <- struct{}{}
	}
}

// sequenceOf is how far a client knows the roster by a frame: by a Delta's
// sequence, or by that of a Snapshot which has no more frames.
func sequenceOf(frame []byte) uint64 {
	number, _, n := protowire.ConsumeTag(frame)
	if n < 0 || number != 3 && number != 4 { // ToClient.snapshot and .delta
		return 0
	}
	body, n := protowire.ConsumeBytes(frame[n:])
	if n < 0 {
		panic("a frame is cut")
	}
	var fields [5]uint64
	for len(body) > 0 {
		field, kind, n := protowire.ConsumeTag(body)
		body = body[max(n, 0):]
		if kind == protowire.VarintType && field < 5 {
			fields[field], n = protowire.ConsumeVarint(body)
		} else {
			n = protowire.ConsumeFieldValue(field, kind, body)
		}
		if n < 0 {
			panic("a frame is cut")
		}
		body = body[n:]
	}
	switch {
	case number == 4:
		return fields[1] // Delta.sequence
	case fields[4] != 0: // Snapshot.more
		return 0
	}
	return fields[2] // Snapshot.sequence
}

// crowd is the other end of a crowd's input.
type crowd struct {
	b   *testing.B
	in  io.Writer
	out *bufio.Scanner
	end func()
}

func startCrowd(b *testing.B) *crowd {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crowdEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	c := &crowd{b: b, in: in, out: bufio.NewScanner(out)}
	c.end = sync.OnceFunc(func() {
		in.Close() // all connections end with the process
		_ = cmd.Wait()
	})
	b.Cleanup(c.end)
	return c
}

// tell has the crowd do something, and do waits for its answer.
func (c *crowd) tell(format string, args ...any) {
	c.b.Helper()
	if _, err := fmt.Fprintf(c.in, format+"\n", args...); err != nil {
		c.b.Fatal(err)
	}
}

func (c *crowd) do(format string, args ...any) {
	c.b.Helper()
	c.tell(format, args...)
	c.answer()
}

func (c *crowd) answer() string {
	c.b.Helper()
	if !c.out.Scan() {
		c.b.Fatal("the crowd has gone: ", c.out.Err())
	}
	return strings.TrimSpace(c.out.Text())
}

// knew waits for the answer of an until.
func (c *crowd) knew() (half, most, all time.Time) {
	c.b.Helper()
	var ns [3]int64
	if !scan(c.answer(), "%d %d %d", &ns[0], &ns[1], &ns[2]) {
		c.b.Fatal("the crowd does not make itself understood")
	}
	return time.Unix(0, ns[0]), time.Unix(0, ns[1]), time.Unix(0, ns[2])
}
