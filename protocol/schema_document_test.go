package protocol_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// securePart is the half of PROTOCOL.md that is about the secure protocol.
func securePart(t *testing.T) string {
	t.Helper()
	document, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	_, secure, found := strings.Cut(string(document), "\n# The secure protocol\n")
	if !found {
		t.Fatal("there is no part on the secure protocol")
	}
	return secure
}

// TestDocumentFrames holds the examples of frames against the code.
func TestDocumentFrames(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| (To[A-Za-z]+) \\| `([^`]+)` \\| `([0-9a-f]+)` \\|$")
	seen := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(securePart(t), -1) {
		kind, text := m[1], m[2]
		frame := map[string]proto.Message{
			"ToCoordinator": new(wire.ToCoordinator), "ToClient": new(wire.ToClient), "ToPeer": new(wire.ToPeer),
		}[kind]
		if frame == nil {
			t.Fatalf("there is no frame %s", kind)
		}
		if err := prototext.Unmarshal([]byte(text), frame); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := hex.EncodeToString(wire.Append(nil, frame)); got != m[3] {
			t.Errorf("%s %s is\n%s, the document says\n%s", kind, text, got, m[3])
		}
		seen[kind] = true
	}
	if len(seen) != 3 {
		t.Errorf("there are examples of %v only", seen)
	}
}

// TestDocumentSchema finds every message, field and value of the schema in the
// document.
func TestDocumentSchema(t *testing.T) {
	words := map[string]bool{}
	for _, quoted := range regexp.MustCompile("`[^`\n]+`").FindAllString(securePart(t), -1) {
		for _, word := range regexp.MustCompile(`\w+`).FindAllString(quoted, -1) {
			words[word] = true
		}
	}
	missing := func(name protoreflect.FullName, word protoreflect.Name) {
		if !words[string(word)] {
			t.Errorf("PROTOCOL.md doesn't tell of %s", name)
		}
	}
	enum := func(e protoreflect.EnumDescriptor) {
		for i := range e.Values().Len() {
			if v := e.Values().Get(i); v.Number() != 0 { // nobody sends that one
				missing(v.FullName(), v.Name())
			}
		}
	}
	schema := wire.File_earshot_proto
	for i := range schema.Enums().Len() {
		enum(schema.Enums().Get(i))
	}
	for i := range schema.Messages().Len() {
		m := schema.Messages().Get(i)
		missing(m.FullName(), m.Name())
		for j := range m.Enums().Len() {
			enum(m.Enums().Get(j))
		}
		for j := range m.Fields().Len() {
			if f := m.Fields().Get(j); !strings.HasPrefix(string(m.Name()), "To") { // whose fields are named as their messages
				missing(f.FullName(), f.Name())
			}
		}
	}
}

// TestDocumentNumbers finds the numbers that the code has.
func TestDocumentNumbers(t *testing.T) {
	secure := strings.Join(strings.Fields(securePart(t)), " ")
	for what, text := range map[string]string{
		"MaxToCoordinator": "A `ToCoordinator` has at most 16 KiB",
		"MaxToClient":      "a `ToClient` 256 KiB",
		"MaxToPeer":        "a `ToPeer` 128 KiB",
		"DefaultPort":      "TLS 1.3 on TCP 13277, ALPN `" + identity.ALPNControl + "`",
		"ALPNPeer":         "ALPN `" + identity.ALPNPeer + "`",
	} {
		if !strings.Contains(secure, text) {
			t.Errorf("%s: the document doesn't say %q", what, text)
		}
	}
	if wire.MaxToCoordinator != 16<<10 || wire.MaxToClient != 256<<10 || wire.MaxToPeer != 128<<10 || identity.DefaultPort != 13277 {
		t.Error("a number has changed: say so in the document, and here")
	}
	for _, context := range []string{"earshot endorsement 1", "earshot join 1", "earshot safety number 1"} {
		if !strings.Contains(secure, `"`+context+`" 00`) {
			t.Errorf("the document doesn't say what %q is for", context)
		}
	}
	// What is signed is what the document says.
	key, other := identity.NewKey(), identity.NewKey().Public()
	by := key.Public()
	said := append([]byte("earshot endorsement 1\x00ann\x00"), other[:]...)
	if !ed25519.Verify(by[:], said, key.Endorse("ann", other)) {
		t.Error("an endorsement is not a signature of what the document says")
	}
}
