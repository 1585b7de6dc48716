package nat

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v3"
)

// What svc/stun reads and sends: the same bytes stand in its tests. They were
// made by another program from the RFC's text.
const (
	tokenRequest  = "0001002c2112a442000102030405060708090a0b000600203031323334353637383961626364656630313233343536373839616263646566802800042d989f21"
	cookieRequest = "000100382112a442000102030405060708090a0b000600203031323334353637383961626364656630313233343536373839616263646566cea50008a1a2a3a4a5a6a7a880280004d691a9fc"
	changeRequest = "000100402112a442000102030405060708090a0b000600203031323334353637383961626364656630313233343536373839616263646566cea50008a1a2a3a4a5a6a7a80003000400000002802800046f5f56ae"
	paddedRequest = "0001002c2112a442000102030405060708090a0b00260020000000000000000000000000000000000000000000000000000000000000000080280004dc3ff714"

	cookieAnswer4 = "010100202112a442000102030405060708090a0b002000080001a147e112a643cea50008a1a2a3a4a5a6a7a8802800045e909ca5"
	cookieAnswer6 = "0101002c2112a442000102030405060708090a0b002000140002a1470113a9fa1235547b041424344c5c6c7ccea50008a1a2a3a4a5a6a7a880280004785e4dd0"
	plainAnswer4  = "010100142112a442000102030405060708090a0b002000080001a147e112a64380280004690e4207"
	errorAnswer   = "011100102112a442000102030405060708090a0b0009000400000414000a000200240000"
)

// RFC 5769's sample responses (2.2 and 2.3).
const (
	rfcAnswer4 = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643" +
		"000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
	rfcAnswer6 = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9" +
		"00080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)

var (
	sampleID     = transaction{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	sampleCookie = cookie{0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8}
	sample4      = netip.MustParseAddrPort("192.0.2.1:32853")
	sample6      = netip.MustParseAddrPort("[2001:db8:1234:5678:11:2233:4455:6677]:32853")
)

func TestRequestVectors(t *testing.T) {
	const token = "0123456789abcdef0123456789abcdef"
	for want, r := range map[string]request{
		tokenRequest:  {id: sampleID, token: token},
		cookieRequest: {id: sampleID, token: token, cookie: sampleCookie},
		changeRequest: {id: sampleID, token: token, cookie: sampleCookie, change: true},
		paddedRequest: {id: sampleID},
	} {
		b, err := r.encode()
		if got := hex.EncodeToString(b); got != want || err != nil {
			t.Errorf("%+v is\n%s, %v, not\n%s", r, got, err, want)
		}
	}
	for n := range 200 {
		b, err := request{token: string(make([]byte, n)), change: n%2 == 0}.encode()
		if err != nil || len(b) < minRequest || !isSTUN(b) {
			t.Errorf("with a token of %d bytes it is %x, %v", n, b, err)
		}
	}
	if b, err := (request{token: string(make([]byte, 514))}).encode(); err == nil {
		t.Errorf("with a token that is too long it is %x", b)
	}
}

func TestAnswerVectors(t *testing.T) {
	rfcID := transaction{0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae}
	for text, want := range map[string]answer{
		cookieAnswer4: {id: sampleID, seen: sample4, cookie: sampleCookie},
		cookieAnswer6: {id: sampleID, seen: sample6, cookie: sampleCookie},
		plainAnswer4:  {id: sampleID, seen: sample4},
		errorAnswer:   {id: sampleID, refused: true},
		rfcAnswer4:    {id: rfcID, seen: sample4},
		rfcAnswer6:    {id: rfcID, seen: sample6},
		// An attribute that must be understood, and isn't.
		"010100102112a442000102030405060708090a0b002000080001a147e112a6437fff0000": {id: sampleID, refused: true},
	} {
		got, err := parseAnswer(unhex(t, text))
		if got != want || err != nil {
			t.Errorf("%s is %+v, %v, not %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", tokenRequest, plainAnswer4[:len(plainAnswer4)-2], plainAnswer4[:len(plainAnswer4)-2] + "00",
		"010100002112a442000102030405060708090a0b", "0101000c2112a442000102030405060708090a0b002000080003a147e112a643",
		"0101000c2112a442000102030405060708090a0b00200008000121120000a643" + "00",
	} {
		if got, err := parseAnswer(unhex(t, text)); err == nil {
			t.Errorf("%s is %+v", text, got)
		}
	}
}

// FuzzPacket has a round under way hear anything from anywhere: nothing that the
// coordinator can't have seen is believed, and nothing from elsewhere.
func FuzzPacket(f *testing.F) {
	for _, s := range []string{tokenRequest, changeRequest, cookieAnswer4, cookieAnswer6, plainAnswer4, errorAnswer, rfcAnswer4, rfcAnswer6} {
		f.Add(unhex(f, s), false)
		f.Add(unhex(f, s), true)
	}
	f.Add([]byte("\x05 probe"), false)
	f.Fuzz(func(t *testing.T, b []byte, elsewhere bool) {
		from := main4
		if elsewhere {
			from = third4
		}
		a := New(Config{})
		next := sampleID
		now := time.Now()
		r, err := newRound([]netip.AddrPort{main4, main6}, "token", nil, true, func() transaction { next[11]++; return transactionBefore(next) }, now)
		if err != nil {
			t.Fatal(err)
		}
		r.due(now)
		a.flight = &flight{round: r, wake: make(chan struct{}, 1)}
		before := string(b)
		if got := a.Packet(b, from); got != isSTUN(b) || string(b) != before {
			t.Errorf("%x is STUN: %v", b, got)
		}
		for _, q := range r.questions {
			if q.answered && (!plausible(q.seen, q.to) || !q.accepts(from) || elsewhere != (q.purpose == forOther)) {
				t.Errorf("%x from %v is believed for %+v", b, from, q)
			}
		}
		if report := classify(r.questions, nil, true); report.Kind == None || report.Kind == Hard || report.V6.IsValid() && report.V4.IsValid() {
			t.Errorf("one datagram makes %+v", report)
		}
		if m := new(stun.Message); isSTUN(b) && len(a.flight.wake) == 1 && m.UnmarshalBinary(b) != nil {
			t.Errorf("%x was heard", b)
		}
	})
}

// transactionBefore undoes the increment, so that the first ID is the sample's.
func transactionBefore(id transaction) transaction { id[11]--; return id }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWords(t *testing.T) {
	for v, want := range map[interface{ String() string }]string{
		Unknown: "unknown", None: "none", Easy: "easy", Hard: "hard", Blocked: "blocked", Kind(99): "unknown",
		FilteringUnknown: "unknown", Open: "open", Restricted: "restricted", Filtering(99): "unknown",
	} {
		if v.String() != want {
			t.Errorf("%T %d is %q", v, v, v)
		}
	}
}
