package protocol_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// TestDocumentNumbersOfFields holds section 17 against earshot.proto, so that
// whoever adds a field sees this page.
func TestDocumentNumbersOfFields(t *testing.T) {
	_, block, _ := strings.Cut(securePart(t), "```\n")
	block, _, _ = strings.Cut(block, "```\n")
	var want strings.Builder
	enums := func(all protoreflect.EnumDescriptors) {
		for i := range all.Len() {
			var values []string
			for v, j := all.Get(i).Values(), 0; j < v.Len(); j++ {
				values = append(values, fmt.Sprintf("%d %s", v.Get(j).Number(), v.Get(j).Name()))
			}
			writeSchemaLine(&want, shortName(all.Get(i)), values, " | ")
		}
	}
	all := wire.File_earshot_proto.Messages()
	for i := range all.Len() {
		m := all.Get(i)
		var fields []string
		for f, j := m.Fields(), 0; j < f.Len(); j++ {
			fields = append(fields, schemaField(f.Get(j)))
		}
		writeSchemaLine(&want, shortName(m), fields, ", ")
		enums(m.Enums())
		if m.Messages().Len() > 0 {
			t.Errorf("%s has messages of its own, which this test does not look at", m.FullName())
		}
	}
	enums(wire.File_earshot_proto.Enums())
	if block != want.String() {
		t.Errorf("section 17 is to be\n%s", want.String())
	}
}

// schemaField is a field as section 17 has it. Those of which there is one have
// the sign before them that separates the values of an enumeration.
func schemaField(f protoreflect.FieldDescriptor) string {
	kind := f.Kind().String()
	if f.Message() != nil {
		kind = shortName(f.Message())
	}
	if f.Enum() != nil {
		kind = shortName(f.Enum())
	}
	if f.IsList() {
		kind += "*"
	}
	text := fmt.Sprintf("%d %s %s", f.Number(), f.Name(), kind)
	if f.ContainingOneof() != nil {
		text = "| " + text
	}
	return text
}

func shortName(d protoreflect.Descriptor) string {
	return strings.TrimPrefix(string(d.FullName()), string(d.ParentFile().Package())+".")
}

// writeSchemaLine writes a message or an enumeration in lines of up to 110
// characters.
func writeSchemaLine(b *strings.Builder, name string, parts []string, separator string) {
	line := name + ":"
	for i, part := range parts {
		if i > 0 {
			line = strings.TrimRight(line+separator, " ")
		}
		if len(line)+1+len(part) > 110 {
			fmt.Fprintln(b, line)
			line = "   "
		}
		line += " " + part
	}
	fmt.Fprintln(b, line)
}

// TestDocumentIdentity makes each example of section 10 anew: what is signed
// and hashed by the standard library alone, from the bytes that the section
// says.
func TestDocumentIdentity(t *testing.T) {
	secure := securePart(t)
	unhex := func(text string) []byte {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const (
		first  = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
		second = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
		seed   = "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842"
		code   = "0102030405060708090a"
	)
	k1, k2 := identity.PublicKey(unhex(first)), identity.PublicKey(unhex(second))
	behind := "\x00" + classic.NameKey("张三") + "\x00" + string(k1[:])
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(unhex(seed)), []byte("earshot endorsement 1"+behind))
	mac := hmac.New(sha256.New, unhex(code))
	mac.Write([]byte("earshot join 1" + behind))
	ann := identity.Party{Account: "ann", Devices: []identity.PublicKey{k1}}
	bo := identity.Party{Account: "bo", Devices: []identity.PublicKey{k1, k2}}
	for _, row := range []struct{ example, of, is string }{
		{"device ID", "the key `" + first + "`, *K1*", k1.ID().String()},
		{"device ID", "the key `" + second + "`, *K2*", k2.ID().String()},
		{"link", "`chat.example`, port 4000, the ID of *K1*, token `T`",
			identity.Link{Host: "chat.example", Port: 4000, Fingerprint: k1.ID(), Invite: "T"}.String()},
		{"endorsement", "by the seed `" + seed + "`, of *K1* for `张三`", hex.EncodeToString(signature)},
		{"join code", "the bytes `" + code + "`", identity.JoinCode(unhex(code)).String()},
		{"proof", "that code, *K1* for `张三`", hex.EncodeToString(mac.Sum(nil))},
		{"safety number", "`ann` with *K1*, `bo` with *K1* and *K2*", identity.SafetyNumber(ann, bo)},
	} {
		if want := fmt.Sprintf("| %s | %s | `%s` |\n", row.example, row.of, row.is); !strings.Contains(secure, want) {
			t.Errorf("the document doesn't have the row\n%s", want)
		}
	}
	if got := identity.JoinCode(unhex(code)).Proof(classic.NameKey("张三"), k1); !hmac.Equal(got, mac.Sum(nil)) {
		t.Errorf("a proof is %x, and by the document %x", got, mac.Sum(nil))
	}
}

// TestDocumentPathExamples looks for the datagrams of sections 18 and 19 among those
// that the packages which write them are tested with.
func TestDocumentPathExamples(t *testing.T) {
	var vectors strings.Builder
	for _, name := range []string{"../svc/stun/vectors_test.go", "../p2p/nat/message_test.go", "../p2p/punch/probe_test.go", "relay/frame_test.go"} {
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		// The relay's tests have a device of their own.
		literals := regexp.MustCompile(`"\s*\+\s*key`).ReplaceAllString(string(text), strings.Repeat("aa", 32)+`"`)
		vectors.WriteString(regexp.MustCompile(`"\s*\+\s*"`).ReplaceAllString(literals, ""))
	}
	_, paths, _ := strings.Cut(securePart(t), "\n## 18. ")
	examples := regexp.MustCompile("\\| `((?:[0-9a-f]{2}){11,})` \\|").FindAllStringSubmatch(paths, -1)
	if len(examples) < 8 {
		t.Fatalf("sections 18 and 19 have %d examples", len(examples))
	}
	for _, e := range examples {
		if !strings.Contains(vectors.String(), e[1]) {
			t.Errorf("no test has %s", e[1])
		}
	}
}
