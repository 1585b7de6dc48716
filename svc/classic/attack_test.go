package classic

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	wire "earshot/protocol/classic"
	"earshot/protocol/classic/classictest"
)

// A login can't aim an answer at somebody else, unless its network is trusted.
func TestReflection(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		inLAN(t, func(l *lan) {
			victim := l.socket(2)
			l.send(1, "login,Mallory,"+victim.at.String())
			l.send(1, "why,Mal;lory,"+victim.at.String())
			l.send(1, "login,Mallory,0.0.0.0:9")
			l.send(1, "login,Mallory,239.1.1.1:9")
			l.settle(time.Second)
			got := victim.received()
			if trusted != (len(got) == 2) {
				t.Errorf("trusted %v: the third party got %q", trusted, got)
			}
		}, func(c *Config) {
			if trusted {
				c.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")}
			}
		})
	}
}

// A login whose list is fetched by somebody else's host stays pending.
func TestForgedSource(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.join(1, "Ann")
		victim := l.socket(2)
		l.send(2, "login,Bo,"+victim.at.String()) // as a forger would have it look
		stranger := l.fetch(3, mainPort+1)
		b := make([]byte, 100)
		if n, err := stranger.Read(b); err == nil {
			t.Errorf("a stranger read %q", b[:n])
		}
		l.fetch(2, mainPort+2) // the other framing is not what that login waits for
		l.settle(15 * time.Second)
		if got := slices.DeleteFunc(ann.received(), isAlive); len(got) != 0 {
			t.Errorf("Ann heard %q", got)
		}
		if got := victim.received(); len(got) > 1 {
			t.Errorf("the victim got %q, more than it was asked for", got)
		}
	})
}

// What others send does nothing to Ann's entry, in whatever guise.
func TestNothingInAnothersName(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.join(1, "Ann")
		l.join(2, "Mallory")
		before := l.online()
		at := ann.at.String()
		evil := l.socket(2)
		for _, text := range []string{
			"logout,Ann," + at, "logout,ann," + at, "logout,Ａｎｎ," + at, "logout,Ann," + evil.at.String(),
			"login,Ann," + evil.at.String(), "login,ANN," + evil.at.String(), "login,Ａｎｎ," + evil.at.String(),
			"login,Ann," + at, "login,Eve," + at,
			"alive,Ann," + at, "qunliao,12:00,Ann,forged", "qunliao,12:00,mallory,not how I spell it", "qunliao,12:00,Nobody,hi",
			"Accept,1", "Refused,no", "talk,12:00,Ann,not for a coordinator",
		} {
			l.send(2, text)
			l.sendRaw(2, wire.UTF16LE.Append(nil, text))
		}
		l.fetch(2, mainPort+1)
		l.fetch(2, mainPort+2)
		l.settle(5 * time.Second)
		if after := l.online(); after != before {
			t.Errorf("the roster was\n%sand is\n%s", before, after)
		}
		if got := slices.DeleteFunc(ann.received(), isAlive); !slices.Equal(got, []string{"login,Mallory," + strings.Fields(before)[5]}) {
			t.Errorf("Ann heard %q", got)
		}
		if got := evil.received(); len(got) != 0 {
			t.Errorf("the forger got %q", got)
		}
	})
}

// Who asks is told why; who doesn't hears nothing.
func TestRefusals(t *testing.T) {
	inLAN(t, func(l *lan) {
		l.join(1, "Ann")
		l.join(2, "Bo")
		for name, reason := range map[string]string{
			"ann":                   errTaken.sentence,
			"Ａｎｎ":                   errTaken.sentence,
			"a;b":                   wire.ErrNameComma.Error(),
			"":                      wire.ErrNameEmpty.Error(),
			" x":                    wire.ErrNameControl.Error(),
			"a\tb":                  wire.ErrNameControl.Error(),
			strings.Repeat("x", 65): wire.ErrNameLong.Error(),
			"Cho":                   errFull.sentence,
		} {
			s := l.socket(3)
			l.send(3, "login,"+name+","+s.at.String())
			if got := s.received(); len(got) != 0 {
				t.Errorf("login as %q was answered %q", name, got)
			}
			l.send(3, "why,"+name+","+s.at.String())
			if got := s.received(); !slices.Equal(got, []string{"Refused," + reason}) {
				t.Errorf("why %q was answered %q, not %q", name, got, reason)
			}
		}
	}, func(c *Config) { c.Limits.MaxUsers = 2 })
	inLAN(t, func(l *lan) {
		s := l.socket(1)
		l.send(1, "why,Ann,"+s.at.String())
		if got := s.received(); len(got) != 0 {
			t.Errorf("a good name was refused: %q", got)
		}
	})
}

// A login that names the coordinator's own socket would have it talk to itself.
func TestOwnEndpoint(t *testing.T) {
	inLAN(t, func(l *lan) {
		c, err := l.sim.Host(serverAddr).DialPacket(l.Context(), serverPort)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("login,Loop," + serverPort.String())); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.server.mu.Lock()
		defer l.server.mu.Unlock()
		if len(l.server.logins) != 0 {
			t.Error("the coordinator accepts itself")
		}
	})
}

// A flood of logins from one address holds no more than its share, and nobody
// else is kept out.
func TestLoginFlood(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.login(1, "Ann", classictest.DotNet)
		s := l.socket(2)
		for i := range 5000 {
			if _, err := s.WriteTo(fmt.Appendf(nil, "login,n%d,%s:%d", i, address(2), 1+i), udpAddr(serverPort)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		l.server.mu.Lock()
		pending := len(l.server.logins)
		l.server.mu.Unlock()
		if pending == 0 || pending > 50 {
			t.Errorf("%d logins are pending", pending)
		}
		bo := l.login(3, "Bo", classictest.UTF8Port)
		l.names(time.Second, ann, "Ann", "Bo")
		l.names(time.Second, bo, "Ann", "Bo")
		l.settle(11 * time.Second)
		l.server.mu.Lock()
		defer l.server.mu.Unlock()
		if len(l.server.logins) != 0 || len(l.server.atHost) != 0 || len(l.server.perHost) != 2 {
			t.Errorf("left behind: %d logins, %d hosts, %d shares", len(l.server.logins), len(l.server.atHost), len(l.server.perHost))
		}
	}, func(c *Config) { c.Limits.MaxUsersPerAddress = 50 })
}

// Ten thousand datagrams and a thousand connections of nonsense change nobody's
// entry, reach nobody, and leave nothing behind (inLAN looks for goroutines).
func TestNonsense(t *testing.T) {
	inLAN(t, func(l *lan) {
		clients := []*classictest.Client{
			l.login(1, "Ann", classictest.DotNet), l.login(2, "波", classictest.UTF8Port), l.login(3, "周", classictest.GBPort),
		}
		l.settle(time.Second)
		before := l.online()
		random := rand.New(rand.NewPCG(1, 2))
		s := l.socket(4)
		for range 10_000 {
			if _, err := s.WriteTo(nonsense(random, clients), udpAddr(serverPort)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			time.Sleep(time.Millisecond) // below the rate, so that all of it is looked at
		}
		for i := range 1000 {
			c := l.fetch(5, mainPort+1+uint16(i%2))
			_, _ = c.Write(nonsense(random, clients))
			c.Close()
		}
		l.settle(time.Minute)
		if after := l.online(); after != before {
			t.Errorf("the roster was\n%sand is\n%s", before, after)
		}
		for _, c := range clients {
			if err := c.Died(); err != nil {
				t.Errorf("%s: %v", c.Name(), err)
			}
			l.names(time.Second, c, "Ann", "波", "周")
		}
	})
}

// nonsense is noise, or a message with something wrong with it.
func nonsense(r *rand.Rand, victims []*classictest.Client) []byte {
	victim := victims[r.IntN(len(victims))]
	text := []string{
		"login,%s,%s", "logout,%s,%s", "alive,%s,%s", "why,%s,%s", "speaks,%s,%s", "qunliao,%s,%s", "qunliao,12:00,%s,%s",
		"talk,1,%s,%s", "login,%s,%s,extra", "check,%s%s", "login,,%s%s", "Accept,%s%s", "\x00login,%s,%s",
	}[r.IntN(13)]
	text = fmt.Sprintf(text, victim.Name(), victim.Endpoint())
	b := wire.Encoding(r.IntN(3)).Append(nil, text)
	switch r.IntN(4) {
	case 0:
	case 1:
		for range 1 + r.IntN(4) {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
	case 2:
		b = b[:r.IntN(len(b)+1)]
	default:
		b = bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(2000))
	}
	return b
}
