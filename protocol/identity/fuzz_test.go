package identity_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"earshot/protocol/identity"
)

func FuzzParseID(f *testing.F) {
	for _, key := range []string{public8410, public1, public2} {
		spelling := public(f, key).ID().String()
		if _, err := identity.ParseID(spelling); err != nil {
			f.Fatalf("the seed %s: %v", spelling, err)
		}
		f.Add(spelling)
		f.Add(strings.ToLower(strings.ReplaceAll(spelling, "-", " ")))
		f.Add(spelling[:40])
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := identity.ParseID(text)
		if err != nil {
			if !errors.Is(err, identity.ErrID) || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if again, err := identity.ParseID(id.String()); err != nil || again != id {
			t.Fatalf("%q reads as %v, and that as %v, %v", text, id, again, err)
		}
	})
}

func FuzzParseJoinCode(f *testing.F) {
	seed := identity.NewJoinCode().String()
	if _, err := identity.ParseJoinCode(seed); err != nil {
		f.Fatalf("the seed %s: %v", seed, err)
	}
	f.Add(seed)
	f.Add("aeba gbaf aydq qcik")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		code, err := identity.ParseJoinCode(text)
		if err != nil {
			if !errors.Is(err, identity.ErrJoinCode) {
				t.Fatal(err)
			}
			return
		}
		if again, err := identity.ParseJoinCode(code.String()); err != nil || again != code {
			t.Fatalf("%q reads as %v, and that as %v, %v", text, code, again, err)
		}
	})
}

func FuzzParseLink(f *testing.F) {
	id := public(f, public1).ID()
	for _, link := range []identity.Link{
		{Host: "chat.example", Port: 13277, Fingerprint: id},
		{Host: "2001:db8::7", Port: 1, Fingerprint: id, Invite: "a&b"},
		{Host: "fe80::1%eth0", Port: 65535, Fingerprint: id},
		{Host: "192.0.2.1", Port: 4000, Fingerprint: id, Invite: "K7QX"},
	} {
		if got, err := identity.ParseLink(link.String()); err != nil || got != link {
			f.Fatalf("the seed %v reads as %v, %v", link, got, err)
		}
		f.Add(link.String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		link, err := identity.ParseLink(text)
		if err != nil {
			if !errors.Is(err, identity.ErrLink) {
				t.Fatal(err)
			}
			return
		}
		if again, err := identity.ParseLink(link.String()); err != nil || again != link {
			t.Fatalf("%q reads as %+v, and %q as %+v, %v", text, link, link, again, err)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	for _, key := range []identity.Key{key8410(f), identity.NewKey()} {
		seed := key.MarshalPEM()
		if _, err := identity.ParseKey(seed); err != nil {
			f.Fatalf("a seed: %v", err)
		}
		f.Add(seed)
		f.Add(bytes.ReplaceAll(seed, []byte("\n"), []byte("\r\n")))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := identity.ParseKey(text)
		if err != nil {
			if !errors.Is(err, identity.ErrKey) {
				t.Fatal(err)
			}
			return
		}
		if again, err := identity.ParseKey(key.MarshalPEM()); err != nil || again.Public() != key.Public() {
			t.Fatalf("%q is written as another key: %v", text, err)
		}
	})
}
