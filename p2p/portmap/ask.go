package portmap

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"earshot/protocol/hostnet"
)

const (
	// firstAnswer is how long the first try waits for an answer on the own
	// network; each further one waits twice as long.
	firstAnswer = 250 * time.Millisecond
	tries       = 3
	// maxWrong bounds what is read in one try that is no answer to the question.
	maxWrong = 32
)

// pcp asks by PCP. The nonce says to the router that it is still the same host
// which asks.
type pcp struct {
	net   hostnet.Net
	nonce nonce
}

func newPCP(n hostnet.Net) *pcp {
	p := &pcp{net: n}
	_, _ = rand.Read(p.nonce[:]) // never fails
	return p
}

func (p *pcp) method() Method { return PCP }

func (p *pcp) find(ctx context.Context, where place) (opener, error) {
	o := &pcpOpener{p, where}
	got, err := o.ask(ctx, appendAnnounce(nil, where.local), func(a answer) bool { return a.opcode == pcpAnnounce })
	if err == nil && got.result == 4 { // a router without ANNOUNCE may have MAP
		got.result = pcpSuccess
	}
	if err != nil {
		return nil, err
	}
	return o, got.err()
}

// pcpOpener is a router that speaks PCP.
type pcpOpener struct {
	*pcp
	where place
}

func (o *pcpOpener) open(ctx context.Context, port, external uint16) (grant, error) {
	return o.mapping(ctx, mapRequest{o.where.local, o.nonce, port, external, lifetime})
}

func (o *pcpOpener) close(ctx context.Context, port uint16, _ netip.AddrPort) error {
	_, err := o.mapping(ctx, mapRequest{client: o.where.local, nonce: o.nonce, internal: port})
	return err
}

func (o *pcpOpener) mapping(ctx context.Context, r mapRequest) (grant, error) {
	a, err := o.ask(ctx, r.append(nil), func(a answer) bool { return a.fits(r) })
	if err == nil {
		err = a.err()
	}
	if err != nil {
		return grant{}, err
	}
	return grant{a.external, a.lifetime}, nil
}

// ask sends a question until an answer comes that fits.
func (o *pcpOpener) ask(ctx context.Context, question []byte, fits func(answer) bool) (answer, error) {
	// A connected socket hears nobody but the router.
	conn, err := o.net.DialPacketFrom(ctx, o.where.local, netip.AddrPortFrom(o.where.gateway, pcpPort))
	if err != nil {
		return answer{}, because(ErrNoAnswer, "%w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for try := range tries {
		if _, err = conn.Write(question); err != nil {
			break
		}
		var a answer
		if a, err = listen(conn, firstAnswer<<try, fits); !errors.Is(err, os.ErrDeadlineExceeded) {
			if errors.Is(err, errPCPVersion) || err == nil {
				return a, err
			}
			break
		}
	}
	return answer{}, because(ErrNoAnswer, "PCP: %w", errors.Join(err, ctx.Err()))
}

// listen reads until an answer fits or time is up.
func listen(conn net.Conn, patience time.Duration, fits func(answer) bool) (a answer, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return a, err
	}
	b := make([]byte, pcpMaxSize+1)
	for range maxWrong {
		n, err := conn.Read(b)
		if err != nil {
			return a, err
		}
		a, err = parseAnswer(b[:n])
		if errors.Is(err, errPCPVersion) {
			return a, because(ErrNoAnswer, "%w", err)
		}
		if err == nil && fits(a) {
			return a, nil
		}
	}
	return a, because(ErrBadAnswer, "%d datagrams that are no answers", maxWrong)
}
