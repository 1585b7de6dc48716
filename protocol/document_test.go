package protocol_test

import (
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"earshot/protocol/classic"
)

// TestDocumentExamples holds PROTOCOL.md's examples against the code, and that
// there is one for every verb.
func TestDocumentExamples(t *testing.T) {
	document, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| ([a-z0-9 -]+) \\| `([^`]+)` \\| `([0-9a-f]+)` \\|$")
	seen := map[string]int{}
	for _, m := range row.FindAllStringSubmatch(string(document), -1) {
		kind, text := m[1], m[2]
		want, err := hex.DecodeString(m[3])
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(text, "end") {
			checkListExample(t, kind, text, want)
			seen["list "+kind]++
			continue
		}
		e, ok := classic.ParseEncoding(kind)
		if !ok {
			t.Fatalf("%q: no such encoding", kind)
		}
		message, err := classic.Parse(text)
		if err != nil || message.String() != text {
			t.Errorf("%q reads as %#v, %v", text, message, err)
		}
		if got := e.Append(nil, text); string(got) != string(want) {
			t.Errorf("%q in %v is\n%x, the document says\n%x", text, e, got, want)
		}
		verb, _, _ := strings.Cut(text, ",")
		seen[verb]++
		seen[kind]++
	}
	for _, what := range []string{
		"login", "logout", "Accept", "talk", "qunliao", "Refused", "why", "alive", "speaks",
		"utf-16le", "utf-8", "gb18030", "list dotnet", "list raw utf-8", "list raw gb18030",
	} {
		if seen[what] == 0 {
			t.Errorf("there is no example of %s", what)
		}
	}
}

func checkListExample(t *testing.T, kind, text string, want []byte) {
	t.Helper()
	framing, e := classic.DotNet, classic.UTF16LE
	if name, raw := strings.CutPrefix(kind, "raw "); raw {
		var ok bool
		if e, ok = classic.ParseEncoding(name); !ok {
			t.Fatalf("%q: no such encoding", name)
		}
		framing = classic.RawText
	}
	entries, err := classic.ParseListText(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if got := classic.AppendList(nil, framing, e, entries); string(got) != string(want) {
		t.Errorf("%q as %s is\n%x, the document says\n%x", text, kind, got, want)
	}
}
