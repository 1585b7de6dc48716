package classic_test

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	. "earshot/protocol/classic"
)

func ep(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// messages holds every message with its bytes in every encoding, as Python's
// codecs write them.
var messages = []struct {
	name               string
	message            Message
	utf16, utf8, gb180 string
}{
	{"login", Login{"Ann", ep("10.0.0.7:50007")},
		"6c006f00670069006e002c0041006e006e002c00310030002e0030002e0030002e0037003a0035003000300030003700",
		"6c6f67696e2c416e6e2c31302e302e302e373a3530303037",
		"6c6f67696e2c416e6e2c31302e302e302e373a3530303037"},
	{"login, Chinese", Login{"张三", ep("192.168.1.20:8001")},
		"6c006f00670069006e002c00205f094e2c003100390032002e003100360038002e0031002e00320030003a003800300030003100",
		"6c6f67696e2ce5bca0e4b8892c3139322e3136382e312e32303a38303031",
		"6c6f67696e2cd5c5c8fd2c3139322e3136382e312e32303a38303031"},
	{"login, outside the BMP", Login{"Zoë😀", ep("10.0.0.7:1")},
		"6c006f00670069006e002c005a006f00eb003dd800de2c00310030002e0030002e0030002e0037003a003100",
		"6c6f67696e2c5a6fc3abf09f98802c31302e302e302e373a31",
		"6c6f67696e2c5a6f81308a359439fc362c31302e302e302e373a31"},
	{"login, four bytes in GB18030", Login{"Ωあ한ñ", ep("10.0.0.7:65535")},
		"6c006f00670069006e002c00a90342305cd5f1002c00310030002e0030002e0030002e0037003a0036003500350033003500",
		"6c6f67696e2ccea9e38182ed959cc3b12c31302e302e302e373a3635353335",
		"6c6f67696e2ca6b8a4a28336843381308a392c31302e302e302e373a3635353335"},
	{"login, rare Han", Login{"𠮷野", ep("10.0.0.7:9")},
		"6c006f00670069006e002c0042d8b7dfce912c00310030002e0030002e0030002e0037003a003900",
		"6c6f67696e2cf0a0aeb7e9878e2c31302e302e302e373a39",
		"6c6f67696e2c9534b235d2b02c31302e302e302e373a39"},
	{"login, IPv6", Login{"Ann", ep("[fd00::7]:50007")},
		"6c006f00670069006e002c0041006e006e002c005b0066006400300030003a003a0037005d003a0035003000300030003700",
		"6c6f67696e2c416e6e2c5b666430303a3a375d3a3530303037",
		"6c6f67696e2c416e6e2c5b666430303a3a375d3a3530303037"},
	{"logout", Logout{"张三", ep("10.0.0.7:50007")},
		"6c006f0067006f00750074002c00205f094e2c00310030002e0030002e0030002e0037003a0035003000300030003700",
		"6c6f676f75742ce5bca0e4b8892c31302e302e302e373a3530303037",
		"6c6f676f75742cd5c5c8fd2c31302e302e302e373a3530303037"},
	{"Accept", Accept{13279},
		"4100630063006500700074002c0031003300320037003900",
		"4163636570742c3133323739",
		"4163636570742c3133323739"},
	{"Accept, least", Accept{1},
		"4100630063006500700074002c003100",
		"4163636570742c31",
		"4163636570742c31"},
	{"talk", Talk{"15:04:05", "Ann", "hi"},
		"740061006c006b002c00310035003a00300034003a00300035002c0041006e006e002c0068006900",
		"74616c6b2c31353a30343a30352c416e6e2c6869",
		"74616c6b2c31353a30343a30352c416e6e2c6869"},
	{"talk, Chinese clock", Talk{"下午 3:04:05", "张三", "你好，世界"},
		"740061006c006b002c000b4e4853200033003a00300034003a00300035002c00205f094e2c00604f7d590cff164e4c75",
		"74616c6b2ce4b88be58d8820333a30343a30352ce5bca0e4b8892ce4bda0e5a5bdefbc8ce4b896e7958c",
		"74616c6b2ccfc2cee720333a30343a30352cd5c5c8fd2cc4e3bac3a3accac0bde7"},
	{"talk, emoji family", Talk{"3:04:05 PM", "Ann", "👨\u200d👩\u200d👧"},
		"740061006c006b002c0033003a00300034003a0030003500200050004d002c0041006e006e002c003dd868dc0d203dd869dc0d203dd867dc",
		"74616c6b2c333a30343a303520504d2c416e6e2cf09f91a8e2808df09f91a9e2808df09f91a7",
		"74616c6b2c333a30343a303520504d2c416e6e2c9439d3388136a4399439d3398136a4399439d337"},
	{"talk, commas", Talk{"15:04:05", "Ann", "a,b,,c\r\nd;"},
		"740061006c006b002c00310035003a00300034003a00300035002c0041006e006e002c0061002c0062002c002c0063000d000a0064003b00",
		"74616c6b2c31353a30343a30352c416e6e2c612c622c2c630d0a643b",
		"74616c6b2c31353a30343a30352c416e6e2c612c622c2c630d0a643b"},
	{"talk, empty", Talk{"", "", ""},
		"740061006c006b002c002c002c00",
		"74616c6b2c2c2c",
		"74616c6b2c2c2c"},
	{"qunliao", Group{"15:04:05", "张三", "大家好"},
		"710075006e006c00690061006f002c00310035003a00300034003a00300035002c00205f094e2c002759b65b7d59",
		"71756e6c69616f2c31353a30343a30352ce5bca0e4b8892ce5a4a7e5aeb6e5a5bd",
		"71756e6c69616f2c31353a30343a30352cd5c5c8fd2cb4f3bcd2bac3"},
	{"Refused", Refused{"The name is taken, choose another."},
		"52006500660075007300650064002c0054006800650020006e0061006d0065002000690073002000740061006b0065006e002c002000630068006f006f0073006500200061006e006f0074006800650072002e00",
		"526566757365642c546865206e616d652069732074616b656e2c2063686f6f736520616e6f746865722e",
		"526566757365642c546865206e616d652069732074616b656e2c2063686f6f736520616e6f746865722e"},
	{"why", Why{"Ann", ep("10.0.0.7:50007")},
		"7700680079002c0041006e006e002c00310030002e0030002e0030002e0037003a0035003000300030003700",
		"7768792c416e6e2c31302e302e302e373a3530303037",
		"7768792c416e6e2c31302e302e302e373a3530303037"},
	{"alive", Alive{"张", ep("10.0.0.7:50007")},
		"61006c006900760065002c00205f2c00310030002e0030002e0030002e0037003a0035003000300030003700",
		"616c6976652ce5bca02c31302e302e302e373a3530303037",
		"616c6976652cd5c52c31302e302e302e373a3530303037"},
	{"speaks?", SpeaksQuery{"张", ep("10.0.0.7:50007")},
		"73007000650061006b0073002c00205f2c00310030002e0030002e0030002e0037003a0035003000300030003700",
		"737065616b732ce5bca02c31302e302e302e373a3530303037",
		"737065616b732cd5c52c31302e302e302e373a3530303037"},
	{"speaks", Speaks{"张", GB18030},
		"73007000650061006b0073002c00205f2c006700620031003800300033003000",
		"737065616b732ce5bca02c67623138303330",
		"737065616b732cd5c52c67623138303330"},
	{"speaks utf-16le", Speaks{"Bo", UTF16LE},
		"73007000650061006b0073002c0042006f002c007500740066002d00310036006c006500",
		"737065616b732c426f2c7574662d31366c65",
		"737065616b732c426f2c7574662d31366c65"},
}

func (e encodings) each(f func(Encoding, string)) {
	for i, h := range e {
		f([]Encoding{UTF16LE, UTF8, GB18030}[i], h)
	}
}

type encodings [3]string

func TestMessages(t *testing.T) {
	for _, c := range messages {
		t.Run(c.name, func(t *testing.T) {
			encodings{c.utf16, c.utf8, c.gb180}.each(func(e Encoding, want string) {
				if got := hex.EncodeToString(e.Append(nil, c.message.String())); got != want {
					t.Errorf("%v: encoded as\n%s, want\n%s", e, got, want)
				}
				b, err := hex.DecodeString(want)
				if err != nil {
					t.Fatal(err)
				}
				got, detected, err := ParseDatagram(b)
				if err != nil || got != c.message {
					t.Errorf("%v: read as %#v, %v", e, got, err)
				}
				// ASCII is the same bytes in UTF-8 and GB18030.
				if detected != e && !(detected == UTF8 && c.utf8 == c.gb180) {
					t.Errorf("%v: taken for %v", e, detected)
				}
			})
		})
	}
}

func TestParseErrors(t *testing.T) {
	cases := []struct {
		text string
		want error
	}{
		{"", ErrUnknownVerb},
		{"login", ErrUnknownVerb},
		{"LOGIN,Ann,10.0.0.7:1", ErrUnknownVerb},
		{"accept,13279", ErrUnknownVerb},
		{"dance,Ann", ErrUnknownVerb},
		{"login,Ann", ErrFieldCount},
		{"login,", ErrFieldCount},
		{"login,Ann,10.0.0.7:1,more", ErrFieldCount},
		{"login,A,nn,10.0.0.7:1", ErrFieldCount},
		{"logout,Ann", ErrFieldCount},
		{"login,Ann,", ErrEndpoint},
		{"login,Ann,10.0.0.7", ErrEndpoint},
		{"login,Ann,10.0.0.7:0", ErrEndpoint},
		{"login,Ann,10.0.0.7:65536", ErrEndpoint},
		{"login,Ann,10.0.0.7:-1", ErrEndpoint},
		{"login,Ann,10.0.0:1", ErrEndpoint},
		{"login,Ann,host:1", ErrEndpoint},
		{"login,Ann,fd00::7:1", ErrEndpoint},
		{"login,Ann,[fe80::7%eth0]:1", ErrEndpoint},
		{"login,Ann,[fe80::7%;end]:1", ErrEndpoint},
		{"Accept,", ErrPort},
		{"Accept,0", ErrPort},
		{"Accept,+5", ErrPort},
		{"Accept,65536", ErrPort},
		{"Accept,13279,5", ErrPort},
		{"talk,15:04:05,Ann", ErrFieldCount},
		{"qunliao,hi", ErrFieldCount},
		{"why,Ann", ErrFieldCount},
		{"alive,Ann", ErrFieldCount},
		{"speaks,Ann", ErrFieldCount},
		{"speaks,Ann,latin-1", ErrEndpoint},
	}
	for _, c := range cases {
		for _, e := range []Encoding{UTF16LE, UTF8, GB18030} {
			m, _, err := ParseDatagram(e.Append(nil, c.text))
			if m != nil || !errors.Is(err, c.want) || !errors.Is(err, ErrMalformed) {
				t.Errorf("%q in %v: %#v, %v; want %v", c.text, e, m, err, c.want)
			}
		}
	}
}

func TestParseDatagramLimits(t *testing.T) {
	largest := append([]byte("talk,,,"), make([]byte, MaxDatagram-len("talk,,,"))...)
	if _, _, err := ParseDatagram(largest); err != nil {
		t.Error(err)
	}
	if _, _, err := ParseDatagram(append(largest, 0)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	if _, e, err := ParseDatagram([]byte("l\x00o\x00g")); e != UTF16LE || !errors.Is(err, ErrEncoding) {
		t.Errorf("odd number of bytes: %v, %v", e, err)
	}
}

// TestTails holds that the rest of a sender's buffer is ignored, except in a
// chat, where it could be the text.
func TestTails(t *testing.T) {
	for _, tail := range []string{"\x00", "\x00\x00\x00", "\r\n", " \t"} {
		for _, m := range []Message{Login{"Ann", ep("10.0.0.7:1")}, Accept{5}, Speaks{"Ann", UTF8}, Refused{"No."}} {
			if got, err := Parse(m.String() + tail); err != nil || got != m {
				t.Errorf("%q: %#v, %v", m.String()+tail, got, err)
			}
		}
		want := Talk{"t", "Ann", "hi" + tail}
		if got, err := Parse(want.String()); err != nil || got != want {
			t.Errorf("%q: %#v, %v", want.String(), got, err)
		}
	}
}

func TestParseEndpointUnmaps(t *testing.T) {
	got, err := ParseEndpoint("[::ffff:10.0.0.7]:5")
	if err != nil || got != ep("10.0.0.7:5") {
		t.Errorf("%v, %v", got, err)
	}
}

func TestEncodings(t *testing.T) {
	for _, e := range []Encoding{UTF16LE, UTF8, GB18030} {
		if got, ok := ParseEncoding(e.String()); !ok || got != e {
			t.Errorf("%v read as %v, %v", e, got, ok)
		}
		b := e.Append([]byte("kept"), "a\xffb")
		text, err := e.Decode(b[len("kept"):])
		if !strings.HasPrefix(string(b), "kept") || err != nil || text != "a\ufffdb" {
			t.Errorf("%v: invalid text became %q, %v", e, text, err)
		}
	}
	if _, ok := ParseEncoding("latin-1"); ok {
		t.Error("latin-1 is no encoding of ours")
	}
	if got := Encoding(9).String(); got != "unknown" {
		t.Errorf("an unknown encoding is called %q", got)
	}
	if _, err := Encoding(9).Decode(nil); !errors.Is(err, ErrEncoding) {
		t.Errorf("an unknown encoding decodes with %v", err)
	}
	if got, err := UTF16LE.Decode([]byte{0x3d, 0xd8, 'x', 0}); err != nil || got != "\ufffdx" {
		t.Errorf("a lone surrogate became %q, %v", got, err)
	}
	if _, err := UTF8.Decode([]byte{0xff}); !errors.Is(err, ErrEncoding) {
		t.Errorf("bad UTF-8: %v", err)
	}
	if got, err := GB18030.Decode([]byte{'a', 0xff, 'b'}); err != nil || got != "a\ufffdb" {
		t.Errorf("bad GB18030 became %q, %v", got, err)
	}
}

// TestEncodingsKeepEverything looks at every character, those excepted that
// GB18030 can't be trusted with and that must not become others.
func TestEncodingsKeepEverything(t *testing.T) {
	for _, e := range []Encoding{UTF16LE, UTF8, GB18030} {
		lost := 0
		for r := rune(0); r <= unicode.MaxRune; r++ {
			if !utf8.ValidRune(r) {
				continue
			}
			got, err := e.Decode(e.Append(nil, string(r)))
			switch {
			case err == nil && got == string(r):
			case e == GB18030 && got == "\ufffd" && privateUse(r):
				lost++
			default:
				t.Errorf("%v: %U became %q, %v", e, r, got, err)
			}
		}
		if e == GB18030 && lost > 2100 {
			t.Errorf("GB18030 lost %d characters", lost)
		}
	}
}

func TestParseDatagramAs(t *testing.T) {
	ambiguous := GB18030.Append(nil, "talk,9:00,Ann,隆") // c2 a1, also U+00A1 in UTF-8
	if m, e, err := ParseDatagram(ambiguous); err != nil || e != UTF8 || m.(Talk).Text == "隆" {
		t.Fatalf("it isn't ambiguous: %#v, %v, %v", m, e, err)
	}
	cases := []struct {
		known, encoding Encoding
		datagram        []byte
		text            string
	}{
		{GB18030, GB18030, ambiguous, "隆"},
		{GB18030, GB18030, []byte("talk,9:00,Ann,hi"), "hi"},
		{GB18030, UTF16LE, UTF16LE.Append(nil, "talk,9:00,Ann,隆"), "隆"},
		{GB18030, UTF8, []byte("talk,9:00,Ann,€!"), "€!"}, // ac 21 is nothing in GB18030
		{UTF8, UTF8, ambiguous, "¡"},
		{UTF8, GB18030, GB18030.Append(nil, "talk,9:00,Ann,你好"), "你好"},
		{UTF16LE, UTF8, []byte("talk,9:00,Ann,hi"), "hi"},
	}
	for _, c := range cases {
		m, e, err := ParseDatagramAs(c.known, c.datagram)
		if err != nil || e != c.encoding || m.(Talk).Text != c.text {
			t.Errorf("% x from one who speaks %v: %#v, %v, %v", c.datagram, c.known, m, e, err)
		}
	}
	if _, _, err := ParseDatagramAs(GB18030, make([]byte, MaxDatagram+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}
