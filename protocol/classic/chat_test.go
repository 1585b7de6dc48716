package classic_test

import (
	"slices"
	"strings"
	"testing"

	. "earshot/protocol/classic"

	"github.com/rivo/uniseg"
)

const family = "👨\u200d👩\u200d👧\u200d👦"

func TestSplitTalk(t *testing.T) {
	texts := map[string]string{
		"empty":           "",
		"short":           "hi",
		"commas":          "a,b,,c，d",
		"long ASCII":      strings.Repeat("0123456789", 1000),
		"long Chinese":    strings.Repeat("你好，世界。", 700),
		"emoji families":  strings.Repeat(family+"!", 300),
		"combining marks": strings.Repeat("e\u0301o\u0308", 900),
		"flags":           strings.Repeat("🇨🇳🇩🇪", 400),
		"line ends":       strings.Repeat("\r\n", 1500),
		"one huge letter": "e" + strings.Repeat("\u0301", 2000),
		"huge inside":     strings.Repeat("a", 700) + "e" + strings.Repeat("\u0301", 2000) + "tail",
		"not UTF-8":       strings.Repeat("a\xff", 900),
		"Korean":          strings.Repeat("한국어", 500),
	}
	for name, text := range texts {
		for _, e := range []Encoding{UTF16LE, UTF8, GB18030} {
			t.Run(name+"/"+e.String(), func(t *testing.T) {
				talks := SplitTalk("下午 3:04:05", "张三", text, e)
				checkSplit(t, talks, text, e)
				if name != "one huge letter" && name != "huge inside" {
					checkClusters(t, talks)
				}
			})
		}
	}
}

// checkSplit holds the limit, and that nothing is lost.
func checkSplit(t *testing.T, talks []Talk, text string, e Encoding) {
	t.Helper()
	var all strings.Builder
	for i, m := range talks {
		b := e.Append(nil, m.String())
		if len(b) > MaxChatDatagram {
			t.Errorf("message %d has %d bytes", i, len(b))
		}
		if m.Text == "" && text != "" || strings.Contains(m.Text, ",") {
			t.Errorf("message %d says %q", i, m.Text)
		}
		decoded, err := e.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(decoded); err != nil || got != m {
			t.Errorf("message %d is read as %#v, %v", i, got, err)
		}
		all.WriteString(m.Text)
	}
	if want := strings.ReplaceAll(string([]rune(text)), ",", "，"); all.String() != want {
		t.Errorf("%d bytes arrived of %d", all.Len(), len(want))
	}
	if len(talks) == 0 {
		t.Error("no message")
	}
}

// checkClusters holds that no message begins inside a character, and that none
// leaves room for what the next begins with.
func checkClusters(t *testing.T, talks []Talk) {
	t.Helper()
	cut := 0
	var all strings.Builder
	for _, m := range talks {
		cut += uniseg.GraphemeClusterCount(m.Text)
		all.WriteString(m.Text)
	}
	if whole := uniseg.GraphemeClusterCount(all.String()); whole != cut {
		t.Errorf("%d characters became %d", whole, cut)
	}
}

func TestSplitTalkFills(t *testing.T) {
	talks := SplitTalk("15:04:05", "Ann", strings.Repeat("x", 5000), UTF8)
	for _, m := range talks[:len(talks)-1] {
		if n := len(m.String()); n != MaxChatDatagram {
			t.Errorf("a message has %d bytes", n)
		}
	}
	if len(talks) != 5 {
		t.Errorf("%d messages", len(talks))
	}
}

// TestSplitTalkLimits takes the longest sender and time that there are.
func TestSplitTalkLimits(t *testing.T) {
	sender := strings.Repeat("😀", MaxNameRunes)
	if err := ValidateName(sender); err != nil {
		t.Fatal(err)
	}
	for _, e := range []Encoding{UTF16LE, UTF8, GB18030} {
		text := strings.Repeat("한", 500)
		checkSplit(t, SplitTalk(strings.Repeat("午", 100), sender, text, e), text, e)
	}
}

func TestResolveSender(t *testing.T) {
	known := func(name string) bool { return slices.Contains([]string{"Ann", "张三"}, name) }
	cases := []struct {
		name     string
		datagram string
		want     Talk
	}{
		{"nothing to mend", "talk,15:04:05,Ann,hi, Ann,you", Talk{"15:04:05", "Ann", "hi, Ann,you"}},
		{"a long date", "talk,Monday, November 23, 2026,Ann,hi,there", Talk{"Monday, November 23, 2026", "Ann", "hi,there"}},
		{"one comma", "talk,Nov 23, 2026,张三,你好", Talk{"Nov 23, 2026", "张三", "你好"}},
		{"empty text", "talk,Nov 23, 2026,Ann,", Talk{"Nov 23, 2026", "Ann", ""}},
		{"nobody known", "talk,Nov 23, 2026,Eve,hi,x", Talk{"Nov 23", " 2026", "Eve,hi,x"}},
		{"the name alone at the end is text", "talk,12:00:00,Eve,hi,Ann", Talk{"12:00:00", "Eve", "hi,Ann"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse(c.datagram)
			if err != nil {
				t.Fatal(err)
			}
			got := m.(Talk).ResolveSender(known)
			if got != c.want {
				t.Errorf("got %#v, want %#v", got, c.want)
			}
			if got.String() != c.datagram {
				t.Errorf("it would be sent as %q", got.String())
			}
		})
	}
}
