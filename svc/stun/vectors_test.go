package stun

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v3"
)

// rfcRequest is RFC 5769's sample (2.1). It has an attribute that must be
// understood, and isn't here (PRIORITY).
const rfcRequest = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74" +
	"002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020" +
	"000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"

// What p2p/nat sends and reads: the same bytes stand in its tests.
const (
	tokenRequest  = "0001002c2112a442000102030405060708090a0b000600203031323334353637383961626364656630313233343536373839616263646566802800042d989f21"
	cookieRequest = "000100382112a442000102030405060708090a0b000600203031323334353637383961626364656630313233343536373839616263646566cea50008a1a2a3a4a5a6a7a880280004d691a9fc"
	changeRequest = "000100402112a442000102030405060708090a0b000600203031323334353637383961626364656630313233343536373839616263646566cea50008a1a2a3a4a5a6a7a80003000400000002802800046f5f56ae"
	paddedRequest = "0001002c2112a442000102030405060708090a0b00260020000000000000000000000000000000000000000000000000000000000000000080280004dc3ff714"

	cookieAnswer4 = "010100202112a442000102030405060708090a0b002000080001a147e112a643cea50008a1a2a3a4a5a6a7a8802800045e909ca5"
	cookieAnswer6 = "0101002c2112a442000102030405060708090a0b002000140002a1470113a9fa1235547b041424344c5c6c7ccea50008a1a2a3a4a5a6a7a880280004785e4dd0"
	plainAnswer4  = "010100142112a442000102030405060708090a0b002000080001a147e112a64380280004690e4207"
)

var (
	seen4 = netip.MustParseAddrPort("192.0.2.1:32853")
	seen6 = netip.MustParseAddrPort("[2001:db8:1234:5678:11:2233:4455:6677]:32853")
)

// The bytes were made by another program from the RFC's text, and the addresses
// are those of RFC 5769's samples.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name, request string
		from          netip.AddrPort
		answer        string // or why there is none
	}{
		{"token", tokenRequest, seen4, cookieAnswer4},
		{"token, IPv6", tokenRequest, seen6, cookieAnswer6},
		{"cookie", cookieRequest, seen4, cookieAnswer4},
		{"other port", changeRequest, seen4, cookieAnswer4},
		{"padding", paddedRequest, seen4, plainAnswer4},
		{"no fingerprint", "000100202112a442b7e7a701bc34d686fa87dfae8022001c" + zeros(28), seen4,
			"0101000c2112a442b7e7a701bc34d686fa87dfae002000080001a147e112a643"},
		{"no fingerprint, IPv6", "000100202112a442b7e7a701bc34d686fa87dfae8022001c" + zeros(28), seen6,
			"010100182112a442b7e7a701bc34d686fa87dfae002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"},
		{"room for no cookie", "000100102112a442000102030405060708090a0b00060003" + "61626300" + "80220004" + zeros(4), seen4,
			"0101000c2112a442000102030405060708090a0b002000080001a147e112a643"},
		{"what must be understood", rfcRequest, seen4,
			"011100182112a442b7e7a701bc34d686fa87dfae0009000400000414000a000200240000802800044aae3985"},
		{"another IP", "000100142112a442000102030405060708090a0b000300040000000680220008" + zeros(8), seen4,
			"011100102112a442000102030405060708090a0b0009000400000414000a000200030000"},
		{"what must be understood, too short", "000100042112a442000102030405060708090a0b7fff0000", seen4, "too short"},
		{"bare, IPv4", "000100002112a442000102030405060708090a0b", seen4, "too short"},
		{"response", plainAnswer4, seen4, "not a request"},
		{"indication", "001100002112a442000102030405060708090a0b", seen4, "not a request"},
		{"another method", "000300002112a442000102030405060708090a0b", seen4, "not a request"},
		{"wrong fingerprint", tokenRequest[:len(tokenRequest)-2] + "00", seen4, "malformed"},
		{"behind the fingerprint", "0001000c2112a442000102030405060708090a0b80280004" + "00000000" + "80220000", seen4, "malformed"},
		{"longer than it says", tokenRequest + "00000000", seen4, "malformed"},
		{"shorter than it says", tokenRequest[:len(tokenRequest)-8], seen4, "malformed"},
		{"an attribute beyond the end", "000100042112a442000102030405060708090a0b80220004", seen4, "malformed"},
		{"a change of two bytes", "000100082112a442000102030405060708090a0b0003000200020000", seen4, "malformed"},
		{"no cookie of STUN's", "0001000021120000000102030405060708090a0b", seen4, "malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			request := unhex(t, c.request)
			x := &exchange{offered: Cookie{0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8}}
			why := x.read(request)
			if why == "" {
				why = x.reply(c.from, len(request))
			}
			got := hex.EncodeToString(x.answer.Raw)
			if why != "" {
				got = why
			}
			if got != c.answer {
				t.Errorf("got  %s\nwant %s", got, c.answer)
			}
		})
	}
}

func TestRead(t *testing.T) {
	x := new(exchange)
	if why := x.read(unhex(t, changeRequest)); why != "" {
		t.Fatal(why)
	}
	if string(x.token) != "0123456789abcdef0123456789abcdef" || len(x.cookie) != 8 || !x.otherPort || !x.fingerprint {
		t.Errorf("read %+v", x)
	}
	if why := x.read(unhex(t, paddedRequest)); why != "" {
		t.Fatal(why)
	}
	if x.token != nil || x.cookie != nil || x.otherPort {
		t.Errorf("of the request before is left: %+v", x)
	}
	// Of two the first counts, and what is too long is no token.
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest,
		stun.RawAttribute{Type: stun.AttrUsername, Value: make([]byte, maxToken+1)},
		stun.NewUsername("one"), stun.NewUsername("two"))
	if why := x.read(m.Raw); why != "" || string(x.token) != "one" {
		t.Errorf("the token is %q, %s", x.token, why)
	}
}

func TestIs(t *testing.T) {
	for text, want := range map[string]bool{
		string(unhex(t, tokenRequest)):       true,
		string(unhex(t, tokenRequest)[:20]):  true,
		string(unhex(t, tokenRequest)[:19]):  false,
		"login,Ann,10.0.0.7:5000":            false,
		"l\x00o\x00!\x12\xa4\x42,Ann,10.0.0": false,
		"":                                   false,
	} {
		if Is([]byte(text)) != want {
			t.Errorf("%q is STUN: %v", text, !want)
		}
	}
}

func TestCookies(t *testing.T) {
	c, other := newCookies(), newCookies()
	at, now := seen4.Addr(), time.Unix(1_800_000_000, 0)
	given := c.of(at, []byte("token"), now)
	for _, v := range []struct {
		what  string
		by    *cookies
		at    netip.Addr
		token string
		after time.Duration
		want  bool
	}{
		{"at once", &c, at, "token", 0, true},
		{"after its time", &c, at, "token", cookieTime, true},
		{"much later", &c, at, "token", 2 * cookieTime, false},
		{"before its time", &c, at, "token", -cookieTime, false},
		{"for another address", &c, at.Next(), "token", 0, false},
		{"for another token", &c, at, "Token", 0, false},
		{"of another coordinator", &other, at, "token", 0, false},
	} {
		if got := v.by.valid(given[:], v.at, []byte(v.token), now.Add(v.after)); got != v.want {
			t.Errorf("%s it is good: %v", v.what, got)
		}
	}
	if c.valid(nil, at, []byte("token"), now) || c.valid(given[:7], at, []byte("token"), now) {
		t.Error("a part of a cookie is good")
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func zeros(n int) string { return hex.EncodeToString(make([]byte, n)) }
