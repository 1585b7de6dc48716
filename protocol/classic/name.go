package classic

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxNameRunes is the longest name, in characters (Unicode code points).
const MaxNameRunes = 64

// ValidateName says whether name is fit for a roster: 1 to MaxNameRunes
// characters, none of them a comma, a semicolon, a control, format or other
// invisible character or a replacement for something undecodable, and no white
// space at the ends.
// The error belongs to ErrName and reads as a sentence for the person.
func ValidateName(name string) error {
	if strings.TrimSpace(name) == "" {
		return ErrNameEmpty
	}
	if !utf8.ValidString(name) || strings.TrimSpace(name) != name {
		return ErrNameControl
	}
	runes := 0
	for _, r := range name {
		runes++
		switch {
		case r == ',' || r == ';':
			return ErrNameComma
		case r == utf8.RuneError, unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp,
			unicode.Other_Default_Ignorable_Code_Point):
			return ErrNameControl
		}
	}
	if runes > MaxNameRunes {
		return ErrNameLong
	}
	return nil
}

// NameKey folds a name to the key under which it is unique on a roster: two
// names that differ only in case, in width as full and half width letters do, or
// in the colour of an emoji's outline (variation selectors) are one name
// (Unicode NFKC and case folding, UAX #15 and #31), so nobody can pose as "bob"
// by calling himself "Bob". NameKey(NameKey(n)) is NameKey(n).
func NameKey(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Variation_Selector, r) {
			return -1
		}
		return r
	}, name)
	for range 4 { // twice is enough for nearly all names
		key := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(name)))
		if key == name {
			break
		}
		name = key
	}
	return name
}
