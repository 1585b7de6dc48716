package classic_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	. "earshot/protocol/classic"
)

func TestValidateName(t *testing.T) {
	cases := []struct {
		name string
		want error
	}{
		{"a", nil},
		{"张三", nil},
		{"Zoë 😀", nil},
		{"❤️", nil},
		{"end", nil},
		{strings.Repeat("名", MaxNameRunes), nil},
		{strings.Repeat("😀", MaxNameRunes), nil},
		{"", ErrNameEmpty},
		{" \t\u3000", ErrNameEmpty},
		{strings.Repeat("a", MaxNameRunes+1), ErrNameLong},
		{"a,b", ErrNameComma},
		{"a;b", ErrNameComma},
		{"a\x00b", ErrNameControl},
		{"a\nb", ErrNameControl},
		{"a\x7fb", ErrNameControl},
		{"a\u0085b", ErrNameControl},
		{"a\u200db", ErrNameControl}, // zero width joiner
		{"a\u202eb", ErrNameControl}, // right-to-left override
		{"a\u2028b", ErrNameControl},
		{"a\ufffdb", ErrNameControl},
		{"a\xffb", ErrNameControl},
		{"\u3164", ErrNameControl}, // Hangul filler: looks like nothing
		{" a", ErrNameControl},
		{"a ", ErrNameControl},
		{"a\u3000", ErrNameControl},
	}
	for _, c := range cases {
		err := ValidateName(c.name)
		if !errors.Is(err, c.want) || (err != nil) != (c.want != nil) {
			t.Errorf("%q: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestNameErrors holds that each reason is of the family and a sentence.
func TestNameErrors(t *testing.T) {
	for _, err := range []error{ErrNameEmpty, ErrNameLong, ErrNameComma, ErrNameControl} {
		if !errors.Is(err, ErrName) {
			t.Errorf("%v is not of the family", err)
		}
		s := err.Error()
		if !strings.HasSuffix(s, ".") || !unicode.IsUpper([]rune(s)[0]) || !strings.Contains(s, "Choose") {
			t.Errorf("%q doesn't say in a sentence what to do", s)
		}
		if _, parseErr := Parse(Refused{s}.String()); parseErr != nil {
			t.Errorf("%q doesn't travel: %v", s, parseErr)
		}
	}
}

func TestNameKey(t *testing.T) {
	same := [][]string{
		{"bob", "Bob", "BOB", "ｂｏｂ", "Ｂｏｂ"},
		{"Straße", "STRASSE", "strasse"},
		{"Zoë", "Zoe\u0308", "ZOË"},
		{"ﬁn", "FIN"},
		{"❤", "❤\ufe0f"},
		{"１２", "12"},
	}
	keys := map[string]string{}
	for _, names := range same {
		for _, n := range names {
			if NameKey(n) != NameKey(names[0]) {
				t.Errorf("%q and %q are two people", n, names[0])
			}
		}
		if other, taken := keys[NameKey(names[0])]; taken {
			t.Errorf("%q and %q are one person", other, names[0])
		}
		keys[NameKey(names[0])] = names[0]
	}
	for _, pair := range [][2]string{{"张三", "张四"}, {"bob", "b0b"}, {"Zoe", "Zoë"}} {
		if NameKey(pair[0]) == NameKey(pair[1]) {
			t.Errorf("%q and %q are one person", pair[0], pair[1])
		}
	}
}

// TestNameKeySettles looks at every character, alone and behind a letter with
// an accent, since folding and composing can undo each other.
func TestNameKeySettles(t *testing.T) {
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if !unicode.IsGraphic(r) || unicode.Is(unicode.Ideographic, r) || unicode.Is(unicode.Hangul, r) {
			continue // no name, or nothing to fold
		}
		for _, name := range []string{string(r), "a\u0345" + string(r)} {
			if key := NameKey(name); NameKey(key) != key {
				t.Errorf("%q (%U): %q, then %q", name, r, key, NameKey(key))
			}
		}
	}
}
