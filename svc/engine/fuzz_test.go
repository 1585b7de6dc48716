package engine

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"earshot/protocol/identity"
)

// seedBackup is a backup with something of everything in it. No engine makes
// it: what goes on in the background of one would look interesting to a fuzzer.
func seedBackup(f *testing.F) []byte {
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	keys := [5]identity.PublicKey{{1}, {2}, {3}, {4}, {5}}
	b := backup{Created: at, Key: string(identity.NewKey().MarshalPEM()), Invites: map[string]invite{
		tokenKey("K7QX"): {For: "di", Expires: at},
		tokenKey("2MFB"): {Expires: at, UsedBy: keys[0][:], UsedFor: "ann"},
	}}
	for _, a := range []Account{
		{Name: "ann", Created: at, Devices: []Device{
			{Key: keys[0], Added: at},
			{Key: keys[1], Label: "desk", Added: at, Endorsements: []Endorsement{{keys[0], []byte("x")}}},
		}},
		{Name: "cy", Created: at, Pending: true, Devices: []Device{{Key: keys[2], Added: at}}},
		{Name: "张三", Created: at, Removed: keys[3:]},
	} {
		b.Accounts = append(b.Accounts, a.record())
	}
	text := b.encode()
	b, c, _, err := decodeBackup(text)
	if err != nil || len(c.accounts) != 3 || len(b.Invites) != 2 || c.pending != 1 || len(c.owners) != 3 || len(c.accounts["张三"].Removed) != 2 {
		f.Fatalf("the seed reads as %+v, %v", b, err)
	}
	return text
}

// FuzzBackup reads whatever an administrator may take for a backup.
func FuzzBackup(f *testing.F) {
	text := seedBackup(f)
	f.Add(text)
	f.Add(text[:len(text)-1])
	f.Add([]byte(backupMagic + " 1 -1 \n"))
	f.Fuzz(func(t *testing.T, text []byte) { checkBackup(t, text) })
}

// FuzzBackupBody reads bodies under a checksum that is right, which would keep
// them all away otherwise.
func FuzzBackupBody(f *testing.F) {
	text := seedBackup(f)
	_, body, _ := bytes.Cut(text, []byte("\n"))
	if !bytes.Equal(framed(body), text) {
		f.Fatal("a backup is not framed as here")
	}
	f.Add(body)
	f.Add(bytes.Replace(body, []byte(`"cy"`), []byte(`"CY"`), 1))
	f.Add(bytes.Replace(body, []byte(`"cy"`), []byte(`"ann"`), 1))
	f.Add([]byte(`{"accounts":[{"name":"a","devices":[{"key":"AAAA"}]}],"invites":{"x":{}}}`))
	f.Fuzz(func(t *testing.T, body []byte) { checkBackup(t, framed(body)) })
}

func framed(body []byte) []byte {
	return fmt.Appendf(nil, "%s %d %d %x\n%s", backupMagic, backupVersion, len(body), sha256.Sum256(body), body)
}

// checkBackup sees that a text is refused as a backup, or is one that would
// be restored as it is.
func checkBackup(t *testing.T, text []byte) {
	b, c, key, err := decodeBackup(text)
	if err != nil {
		if !errors.Is(err, ErrBackup) {
			t.Fatal(err)
		}
		return
	}
	if len(c.accounts) != len(b.Accounts) || key.IsZero() {
		t.Fatalf("%d accounts of %d", len(c.accounts), len(b.Accounts))
	}
	devices := 0
	for name, a := range c.accounts {
		again, err := a.record().account()
		if err != nil || !again.same(a) {
			t.Fatalf("the account of %q is stored as %+v, %v", name, again, err)
		}
		devices += len(a.Devices)
		for _, d := range a.Devices {
			if c.owners[d.Key] != name {
				t.Fatalf("a device of %q is %q's", name, c.owners[d.Key])
			}
		}
	}
	if devices != len(c.owners) {
		t.Fatalf("%d devices have %d owners", devices, len(c.owners))
	}
	b.Key = string(key.MarshalPEM())
	if _, again, _, err := decodeBackup(b.encode()); err != nil || len(again.accounts) != len(c.accounts) || len(again.invites) != len(c.invites) {
		t.Fatalf("a backup of what is restored: %v", err)
	}
}

// FuzzSeal reads a seal file that a power cut, or somebody, has left behind:
// its two places, and where it ends.
func FuzzSeal(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seal")
	if err := createSeal(path); err != nil {
		f.Fatal(err)
	}
	for i := range uint64(3) {
		s, err := openSeal(path)
		if err != nil {
			f.Fatalf("the seed: %v", err)
		}
		content, err := os.ReadFile(path)
		if err := errors.Join(err, s.set(positions{i, 300 * i}), s.file.Close()); err != nil {
			f.Fatal(err)
		}
		f.Add(content[:min(sealSize, len(content))], content[sealPlace:])
		f.Add(content[:sealSize-1], content[sealPlace:])
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		content := bytes.Clone(first)
		if len(second) > 0 {
			content = append(append(content, make([]byte, sealPlace)...)[:sealPlace], second...)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openSeal(path)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if err := s.file.Close(); err != nil {
			t.Fatal(err)
		}
		// Nothing but a whole place counts, and that is what set writes.
		if s.generation == 0 || !bytes.Contains(content, s.encode()) {
			t.Fatalf("a seal of generation %d from what is none", s.generation)
		}
	})
}

// FuzzInvite sees that a token in any spelling is looked for in one place of
// the table, and that an invitation serves nobody but whom it is for.
func FuzzInvite(f *testing.F) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	f.Add("K7QX", "ann", "ann", int64(1))
	f.Add(" k7qx\n", "", "bo", int64(-1))
	f.Fuzz(func(t *testing.T, token, wanted, name string, left int64) {
		if hash, err := plain.DecodeString(tokenKey(token)); err != nil || len(hash) != sha256.Size {
			t.Fatalf("a token is kept under %q", tokenKey(token))
		}
		i := invite{For: wanted, Expires: now.Add(time.Duration(left))}
		var one, other identity.PublicKey
		other[0] = 1
		good := i.good(name, one, now)
		if want := left > 0 && (wanted == "" || wanted == name); good != want {
			t.Fatalf("%+v for %q: %v", i, name, good)
		}
		i.UsedBy, i.UsedFor = one[:], name
		if i.good(name, one, now) != good || i.good(name, other, now) || i.good(name+"x", one, now) {
			t.Fatalf("%+v serves others", i)
		}
	})
}
