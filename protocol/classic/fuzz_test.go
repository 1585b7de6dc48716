package classic_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	. "earshot/protocol/classic"
)

var allEncodings = []Encoding{UTF16LE, UTF8, GB18030}

// The seeds come from the encoder, so that a fuzzer starts at real messages.
func datagramSeeds() (seeds [][]byte) {
	for _, c := range messages {
		for _, e := range allEncodings {
			seeds = append(seeds, e.Append(nil, c.message.String()))
		}
	}
	return seeds
}

func textSeeds() (seeds []string) {
	for _, c := range messages {
		seeds = append(seeds, c.message.String())
	}
	return seeds
}

func listSeeds() (seeds [][]byte) {
	for _, c := range lists {
		seeds = append(seeds, AppendList(nil, DotNet, UTF16LE, c.entries))
		for _, e := range allEncodings {
			seeds = append(seeds, AppendList(nil, RawText, e, c.entries))
		}
	}
	return append(seeds, AppendList(nil, DotNet, UTF16LE, manyUsers(300)))
}

func listTextSeeds() (seeds []string) {
	for _, c := range lists {
		seeds = append(seeds, string(AppendList(nil, RawText, UTF8, c.entries)))
	}
	return seeds
}

// TestFuzzSeeds fails when seeds are missing or are no longer what they seed:
// a fuzzer without them tests next to nothing.
func TestFuzzSeeds(t *testing.T) {
	verbs := map[string]int{}
	encodings := map[Encoding]int{}
	for _, b := range datagramSeeds() {
		m, e, err := ParseDatagram(b)
		if err != nil {
			t.Fatalf("% x: %v", b, err)
		}
		verb, _, _ := strings.Cut(m.String(), ",")
		verbs[verb]++
		encodings[e]++
	}
	for _, verb := range []string{"login", "logout", "Accept", "talk", "qunliao", "Refused", "why", "alive", "speaks"} {
		if verbs[verb] < 3 {
			t.Errorf("%d seeds for %s", verbs[verb], verb)
		}
	}
	for _, e := range allEncodings {
		if encodings[e] < 5 {
			t.Errorf("%d seeds in %v", encodings[e], e)
		}
	}
	if n := len(listSeeds()); n < 4*len(lists)+1 || len(lists) < 4 {
		t.Errorf("%d seeds for lists", n)
	}
	for _, b := range listSeeds() {
		if _, done, err := ParseList(b, DotNet, true); !done || err != nil {
			t.Errorf("% x: %v, %v", b, done, err)
		}
	}
	for _, s := range listTextSeeds() {
		if _, err := ParseListText(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	if len(textSeeds()) < len(messages) || len(messages) < 20 || len(listTextSeeds()) < len(lists) {
		t.Error("there are too few seeds")
	}
}

// privateUse is what GB18030 can't write.
func privateUse(r rune) bool { return r >= 0xe000 && r <= 0xe864 }

// again holds that a message is read again as it was written, in every encoding.
func again(t *testing.T, m Message) {
	t.Helper()
	for _, e := range allEncodings {
		if e == GB18030 && strings.ContainsFunc(m.String(), privateUse) {
			continue
		}
		text, err := e.Decode(e.Append(nil, m.String()))
		if err != nil {
			t.Fatalf("%v: %#v can't be decoded: %v", e, m, err)
		}
		got, err := Parse(text)
		if err != nil || got != m {
			t.Fatalf("%v: %#v came back as %#v, %v", e, m, got, err)
		}
	}
}

func FuzzParseDatagram(f *testing.F) {
	for _, b := range datagramSeeds() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, e, err := ParseDatagram(b)
		if err != nil {
			if m != nil {
				t.Fatalf("%#v with %v", m, err)
			}
			return
		}
		if e != Detect(b) {
			t.Fatalf("%v, detected %v", e, Detect(b))
		}
		again(t, m)
		if talk, ok := m.(Talk); ok && len(talk.Time) <= 100 && ValidateName(talk.Sender) == nil {
			if e == GB18030 && strings.ContainsFunc(talk.Text, privateUse) {
				return
			}
			checkSplit(t, SplitTalk(talk.Time, talk.Sender, talk.Text, e), talk.Text, e)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range textSeeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text)
		if err != nil || !utf8.ValidString(text) {
			return
		}
		again(t, m)
		if l, ok := m.(Login); ok && ValidateName(l.Name) == nil {
			if NameKey(NameKey(l.Name)) != NameKey(l.Name) {
				t.Fatalf("the key of %q does not settle", l.Name)
			}
			entries := []Entry{{l.Name, l.Endpoint}, {"Ann", l.Endpoint}}
			for _, e := range allEncodings {
				got, done, err := ParseList(AppendList(nil, FramingFor(e), e, entries), FramingFor(e), true)
				if err != nil || !done || e == UTF16LE && !slices.Equal(got, entries) {
					t.Fatalf("%v: %v on a list is %v, %v", e, l, got, err)
				}
			}
		}
	})
}

func FuzzParseList(f *testing.F) {
	for _, b := range listSeeds() {
		f.Add(b, true, true)
		f.Add(b, false, false)
		f.Add(b[:len(b)-1], true, false)
	}
	f.Fuzz(func(t *testing.T, b []byte, dotNet, last bool) {
		expect := RawText
		if dotNet {
			expect = DotNet
		}
		entries, done, err := ParseList(b, expect, last)
		switch {
		case done && err != nil, last && !done && err == nil, !done && entries != nil:
			t.Fatalf("%v, %v, %v", entries, done, err)
		case done:
			got, done, err := ParseList(AppendList(nil, DotNet, UTF16LE, entries), DotNet, last)
			if !done || err != nil || !slices.Equal(got, entries) {
				t.Fatalf("%v came back as %v, %v", entries, got, err)
			}
		}
	})
}

func FuzzParseListText(f *testing.F) {
	for _, s := range listTextSeeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := ParseListText(text)
		if err != nil || !utf8.ValidString(text) {
			return
		}
		got, err := ParseListText(string(AppendList(nil, RawText, UTF8, entries)))
		if err != nil || !slices.Equal(got, entries) {
			t.Fatalf("%v came back as %v, %v", entries, got, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, b := range datagramSeeds() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, e := range allEncodings {
			text, err := e.Decode(b)
			if err != nil {
				continue
			}
			if !utf8.ValidString(text) {
				t.Fatalf("%v: %q is not UTF-8", e, text)
			}
			encoded := e.Append(nil, text)
			if got, err := e.Decode(encoded); err != nil || got != text {
				t.Fatalf("%v: %q came back as %q, %v", e, text, got, err)
			}
			// Only what stood for nothing changes.
			if !strings.ContainsRune(text, utf8.RuneError) && e != GB18030 && string(encoded) != string(b) {
				t.Fatalf("%v: % x came back as % x", e, b, encoded)
			}
		}
	})
}
