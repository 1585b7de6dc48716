package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
)

func saved(t testing.TB, e *Engine) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := e.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What is restored is what was there, in another engine and after a restart.
func TestBackupAndRestore(t *testing.T) {
	from, _ := open(t, t.TempDir(), nil)
	ann, bo := device(), device()
	mustClaim(t, from, "ann", ann, PolicyOpen, "")
	mustClaim(t, from, "bo", bo, PolicyOpen, "")
	if _, err := from.AddDevice(t.Context(), "ann", Device{Key: device().Key, Endorsements: []Endorsement{{ann.Key, []byte("x")}}}); err != nil {
		t.Fatal(err)
	}
	token := mustInvite(t, from, "")
	text := saved(t, from)

	dir := t.TempDir()
	var told []string
	to, end := open(t, dir, func(before, after Account) { told = append(told, before.Name+">"+after.Name) })
	mustClaim(t, to, "Ann", device(), PolicyOpen, "")
	mustClaim(t, to, "gone", bo, PolicyOpen, "") // bo's device, and it sorts behind bo
	mustClaim(t, to, "Bo", device(), PolicyOpen, "")
	lost := mustInvite(t, to, "")
	if err := to.Restore(t.Context(), bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	check := func(e *Engine) {
		t.Helper()
		equal(t, e.Accounts(), from.Accounts())
		if e.Key().Public() != from.Key().Public() {
			t.Error("the key is another one")
		}
		if a, _ := e.OwnerOf(bo.Key); a.Name != "bo" {
			t.Errorf("bo's device is %q's", a.Name)
		}
	}
	check(to)
	end()
	if fmt.Sprint(told) != "[>Ann >gone >Bo gone> Ann>ann Bo>bo]" {
		t.Errorf("%v", told)
	}
	to, _ = open(t, dir, nil)
	check(to)
	_, err := to.Claim(t.Context(), "cy", device(), PolicyInvite, lost)
	refused(t, err, ErrInviteInvalid)
	mustClaim(t, to, "cy", device(), PolicyInvite, token)
}

// What is no backup, or not a whole one, changes nothing.
func TestRestoreOfGarbage(t *testing.T) {
	other, _ := open(t, t.TempDir(), nil)
	mustClaim(t, other, "bo", device(), PolicyOpen, "")
	good := saved(t, other)

	dir := t.TempDir()
	changes := 0
	e, end := open(t, dir, func(_, _ Account) { changes++ })
	mustClaim(t, e, "ann", device(), PolicyOpen, "")
	accounts, key := e.Accounts(), e.Key()
	edited := func(old, replacement string) []byte {
		line, body, _ := bytes.Cut(good, []byte("\n"))
		if !bytes.Contains(body, []byte(old)) && !bytes.Contains(line, []byte(old)) {
			t.Fatalf("no %s", old)
		}
		return bytes.Replace(good, []byte(old), []byte(replacement), 1)
	}
	forged := func(b backup) []byte { return b.encode() }
	record := other.Accounts()[0].record()
	pem := string(other.Key().MarshalPEM())
	for name, text := range map[string][]byte{
		"nothing": nil, "noise": bytes.Repeat([]byte{0, 255}, 500), "half": good[:len(good)/2], "all but a byte": good[:len(good)-1],
		"too much": append(bytes.Clone(good), 'x'), "another version": edited("backup 1 ", "backup 2 "),
		"changed": edited(`"bo"`, `"co"`), "only the line": good[:bytes.IndexByte(good, '\n')+1],
		"no key":       forged(backup{Accounts: []accountRecord{record}}),
		"a bad name":   forged(backup{Key: pem, Accounts: []accountRecord{{Name: "a,b"}}}),
		"a name twice": forged(backup{Key: pem, Accounts: []accountRecord{{Name: "a"}, {Name: "A"}}}),
		"a bad invite": forged(backup{Key: pem, Invites: map[string]invite{"*": {}}}),
		"a device twice": forged(backup{Key: pem, Accounts: []accountRecord{record,
			{Name: "other", Devices: record.Devices}}}),
	} {
		if err := e.Restore(t.Context(), bytes.NewReader(text)); !errors.Is(err, ErrBackup) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := e.Restore(t.Context(), iotest.TimeoutReader(bytes.NewReader(good))); !errors.Is(err, ErrBackup) {
		t.Errorf("a broken connection: %v", err)
	}
	equal(t, e.Accounts(), accounts)
	mustClaim(t, e, "cy", device(), PolicyOpen, "")
	accounts = e.Accounts()
	end()
	if changes != 2 {
		t.Errorf("%d changes were told", changes)
	}
	e, _ = open(t, dir, nil)
	equal(t, e.Accounts(), accounts)
	if e.Key().Public() != key.Public() {
		t.Error("the key is another one")
	}
}

// A restore that was decided on and then cut short anywhere is finished.
func TestRestoreCutShort(t *testing.T) {
	from, _ := open(t, t.TempDir(), nil)
	for i := range 5 {
		mustClaim(t, from, fmt.Sprint("name ", i), device(), PolicyOpen, mustInvite(t, from, ""))
	}
	text := saved(t, from)
	b, _, _, err := decodeBackup(text)
	if err != nil {
		t.Fatal(err)
	}
	for written := range 8 {
		dir := t.TempDir()
		e, end := open(t, dir, nil)
		mustClaim(t, e, "gone", device(), PolicyOpen, mustInvite(t, e, ""))
		if err := os.WriteFile(filepath.Join(dir, "engine", restoreName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		// The process ends after so many of its records.
		records := map[string][]byte{}
		for _, r := range b.Accounts[:min(written, 5)] {
			a, err := r.account()
			if err != nil {
				t.Fatal(err)
			}
			records[recordKey(a.Name)] = marshal(r)
		}
		if written > 0 {
			if err := e.store.accounts.replace(t.Context(), records); err != nil {
				t.Fatal(err)
			}
		}
		end()
		e, end = open(t, dir, nil)
		equal(t, e.Accounts(), from.Accounts())
		if e.Key().Public() != from.Key().Public() || exists(filepath.Join(dir, "engine", restoreName)) {
			t.Errorf("after %d records: the restore is not finished", written)
		}
		end()
	}
}
