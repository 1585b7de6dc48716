package classic_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	. "earshot/protocol/classic"
)

var threeUsers = []Entry{{"张三", ep("192.168.1.20:8001")}, {"Ann", ep("[fd00::7]:50007")}, {"😀", ep("10.0.0.7:1")}}

// lists holds lists with their bytes: framed for .NET, and raw in UTF-16LE,
// UTF-8 and GB18030.
var lists = []struct {
	name                       string
	entries                    []Entry
	dotNet, utf16, utf8, gb180 string
}{
	{"nobody", nil,
		"03656e64",
		"65006e006400",
		"656e64",
		"656e64"},
	{"one", []Entry{{"Ann", ep("10.0.0.7:50007")}},
		"16416e6e2c31302e302e302e373a35303030373b656e64",
		"41006e006e002c00310030002e0030002e0030002e0037003a00350030003000300037003b0065006e006400",
		"416e6e2c31302e302e302e373a35303030373b656e64",
		"416e6e2c31302e302e302e373a35303030373b656e64"},
	{"Chinese, IPv6, emoji", threeUsers,
		"40e5bca0e4b8892c3139322e3136382e312e32303a383030313b416e6e2c5b666430303a3a375d3a35303030373bf09f98802c31302e302e302e373a313b656e64",
		"205f094e2c003100390032002e003100360038002e0031002e00320030003a0038003000300031003b0041006e006e002c005b0066006400300030003a003a0037005d003a00350030003000300037003b003dd800de2c00310030002e0030002e0030002e0037003a0031003b0065006e006400",
		"e5bca0e4b8892c3139322e3136382e312e32303a383030313b416e6e2c5b666430303a3a375d3a35303030373bf09f98802c31302e302e302e373a313b656e64",
		"d5c5c8fd2c3139322e3136382e312e32303a383030313b416e6e2c5b666430303a3a375d3a35303030373b9439fc362c31302e302e302e373a313b656e64"},
	{"everybody is called end", []Entry{{"end", ep("10.0.0.7:1")}, {"endless", ep("10.0.0.8:1")}},
		"25656e642c31302e302e302e373a313b656e646c6573732c31302e302e302e383a313b656e64",
		"65006e0064002c00310030002e0030002e0030002e0037003a0031003b0065006e0064006c006500730073002c00310030002e0030002e0030002e0038003a0031003b0065006e006400",
		"656e642c31302e302e302e373a313b656e646c6573732c31302e302e302e383a313b656e64",
		"656e642c31302e302e302e373a313b656e646c6573732c31302e302e302e383a313b656e64"},
}

func TestLists(t *testing.T) {
	for _, c := range lists {
		for _, f := range []struct {
			framing  Framing
			encoding Encoding
			want     string
		}{
			{DotNet, UTF16LE, c.dotNet}, {DotNet, GB18030, c.dotNet},
			{RawText, UTF16LE, c.utf16}, {RawText, UTF8, c.utf8}, {RawText, GB18030, c.gb180},
		} {
			t.Run(fmt.Sprint(c.name, f.framing, f.encoding), func(t *testing.T) {
				got := AppendList([]byte("kept"), f.framing, f.encoding, c.entries)
				if got := hex.EncodeToString(got[len("kept"):]); got != f.want {
					t.Errorf("framed as\n%s, want\n%s", got, f.want)
				}
				b, err := hex.DecodeString(f.want)
				if err != nil {
					t.Fatal(err)
				}
				readBytewise(t, b, f.framing, c.entries)
			})
		}
	}
}

// readBytewise reads a list as it arrives in the smallest pieces. It may look
// whole before it is, where a name begins with "end", but never with an entry
// that isn't in it.
func readBytewise(t *testing.T, b []byte, framing Framing, want []Entry) {
	t.Helper()
	for n := range b {
		entries, done, err := ParseList(b[:n], framing, false)
		if err != nil || done && !slices.Equal(entries, want[:len(entries)]) {
			t.Fatalf("after %d bytes of %d: %v, %v, %v", n, len(b), entries, done, err)
		}
		if done && (framing == DotNet || !strings.HasPrefix(want[len(entries)].Name, "end")) {
			t.Fatalf("done after %d bytes of %d with %v", n, len(b), entries)
		}
		// Cut short right there, a framed list reads as a raw one.
		if ambiguous := framing == DotNet && strings.HasSuffix(string(b[:n]), ";end"); !done && !ambiguous {
			if entries, done, err := ParseList(b[:n], framing, true); done || !errors.Is(err, ErrList) {
				t.Fatalf("closed after %d bytes of %d: %v, %v, %v", n, len(b), entries, done, err)
			}
		}
	}
	for _, last := range []bool{false, true} {
		entries, done, err := ParseList(b, framing, last)
		if !done || err != nil || !slices.Equal(entries, want) {
			t.Fatalf("whole: %v, %v, %v", entries, done, err)
		}
	}
}

// manyUsers returns a list of about size bytes.
func manyUsers(size int) []Entry {
	var entries []Entry
	for n := 0; n < size; n = len(AppendList(nil, RawText, UTF8, entries)) {
		entries = append(entries, Entry{fmt.Sprintf("用户%d", len(entries)), ep("10.1.2.3:4567")})
	}
	return entries
}

// TestListLengths holds the .NET length prefix at one, two and three bytes.
func TestListLengths(t *testing.T) {
	for _, c := range []struct{ size, prefix int }{{100, 1}, {128, 2}, {16000, 2}, {16384, 3}, {40000, 3}} {
		entries := manyUsers(c.size - 20)
		if c.prefix > 1 {
			entries = manyUsers(c.size)
		}
		text := AppendList(nil, RawText, UTF8, entries)
		b := AppendList(nil, DotNet, UTF16LE, entries)
		if len(b) != len(text)+c.prefix {
			t.Fatalf("%d bytes of text became %d", len(text), len(b))
		}
		length := 0
		for i, digit := range b[:c.prefix] {
			if last := i == c.prefix-1; last == (digit >= 0x80) {
				t.Errorf("the high bits of the prefix % x are wrong", b[:c.prefix])
			}
			length |= int(digit&0x7f) << (7 * i)
		}
		if length != len(text) {
			t.Errorf("the prefix of %d bytes says %d", len(text), length)
		}
		for _, n := range []int{1, c.prefix, len(b) / 2, len(b) - 1} {
			if _, done, err := ParseList(b[:n], DotNet, false); done || err != nil {
				t.Errorf("%d bytes of %d: %v, %v", n, len(b), done, err)
			}
		}
		// Both ways, whatever was expected.
		for _, expect := range []Framing{DotNet, RawText} {
			for _, bytes := range [][]byte{b, text, AppendList(nil, RawText, UTF16LE, entries), AppendList(nil, RawText, GB18030, entries)} {
				if expect == RawText && bytes[0] == b[0] && c.prefix == 1 {
					continue // it reads as either, see TestListOtherFraming
				}
				got, done, err := ParseList(bytes, expect, true)
				if err != nil || !done || !slices.Equal(got, entries) {
					t.Errorf("%d bytes, expecting %v: %d entries, %v, %v", len(bytes), expect, len(got), done, err)
				}
			}
		}
	}
}

// TestListOtherFraming holds what happens to a list framed otherwise than
// expected.
func TestListOtherFraming(t *testing.T) {
	framed := AppendList(nil, DotNet, UTF16LE, threeUsers[:1]) // its length is 0x20
	if got, done, err := ParseList(framed, RawText, false); !done || err != nil || !slices.Equal(got, threeUsers[:1]) {
		t.Errorf("framed for raw: %v, %v, %v", got, done, err)
	}
	raw := AppendList(nil, RawText, UTF8, threeUsers)
	if got, done, err := ParseList(raw, DotNet, false); done || err != nil {
		t.Errorf("raw for framed, more may come: %v, %v, %v", got, done, err)
	}
	if got, done, err := ParseList(raw, DotNet, true); !done || err != nil || !slices.Equal(got, threeUsers) {
		t.Errorf("raw for framed: %v, %v, %v", got, done, err)
	}
	// What reads as either is what was expected: '(' is 40, the length of the rest.
	either := []byte("(a,10.0.0.7:50007;Ann,10.0.0.8:50008;end")
	either = append(either, ' ')
	if got, _, err := ParseList(either, RawText, true); err != nil || got[0].Name != "(a" {
		t.Errorf("as raw text: %v, %v", got, err)
	}
	if got, _, err := ParseList(either, DotNet, true); err != nil || got[0].Name != "a" {
		t.Errorf("as framed: %v, %v", got, err)
	}
}

func TestBadLists(t *testing.T) {
	for _, text := range []string{
		"", "en", "e", ";", "xend", "Ann,10.0.0.7:1end", "Ann;end", ",10.0.0.7:1;end", ";end",
		"Ann,10.0.0.7:1;;end", "Ann,10.0.0.7;end", "Ann,10.0.0.7:1,5;end", "Ann,10.0.0.7:1;END",
		"Ann,10.0.0.7:0;end", "Ann,10.0.0.7:1;end;",
	} {
		if got, err := ParseListText(text); !errors.Is(err, ErrList) || !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		for _, expect := range []Framing{DotNet, RawText} {
			if got, done, err := ParseList([]byte(text), expect, true); done || !errors.Is(err, ErrList) {
				t.Errorf("%q: %v, %v, %v", text, got, done, err)
			}
			if got, done, err := ParseList([]byte(text), expect, false); done || err != nil {
				t.Errorf("%q, more may come: %v, %v, %v", text, got, done, err)
			}
		}
	}
	if got, err := ParseListText("Ann,10.0.0.7:1;end\x00\x00\r\n"); err != nil || len(got) != 1 {
		t.Errorf("the rest of a buffer: %v, %v", got, err)
	}
}

func TestListTooLarge(t *testing.T) {
	if _, done, err := ParseList(make([]byte, MaxList+1), RawText, false); done || !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v, %v", done, err)
	}
	for _, b := range [][]byte{
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, // no number at all
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},       // 2^64-1
		{0xff, 0xff, 0xff, 0xff, 0x0f, 'e', 'n', 'd'},                      // -1 in .NET
	} {
		if got, done, err := ParseList(b, DotNet, true); done && len(got) > 0 || !done && !errors.Is(err, ErrList) {
			t.Errorf("% x: %v, %v, %v", b, got, done, err)
		}
	}
}

func TestFramingFor(t *testing.T) {
	for e, want := range map[Encoding]Framing{UTF16LE: DotNet, UTF8: RawText, GB18030: RawText} {
		if got := FramingFor(e); got != want {
			t.Errorf("%v is framed as %v", e, got)
		}
	}
}
