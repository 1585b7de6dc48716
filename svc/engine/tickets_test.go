package engine

import (
	"bytes"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
)

// A secret gives tickets for a week, is taken for another one, whatever is
// restarted meanwhile, and is gone then.
func TestTicketSecrets(t *testing.T) {
	dir := t.TempDir()
	e, end := open(t, dir, nil)
	now := time.Now()
	at := func(days int) [][32]byte {
		e.now = func() time.Time { return now.Add(time.Duration(days) * 24 * time.Hour) }
		return e.TicketSecrets()
	}
	reopen := func() {
		end()
		e, end = open(t, dir, nil)
	}
	first := at(0)
	if len(first) != 1 {
		t.Fatalf("there are %d secrets at first", len(first))
	}
	reopen()
	if !slices.Equal(at(6), first) {
		t.Error("the secret changes within a week")
	}
	second := at(7)
	if len(second) != 2 || second[0] == first[0] || second[1] != first[0] {
		t.Error("after a week there is no new secret beside the old one")
	}
	reopen()
	if !slices.Equal(at(13), second) {
		t.Error("the secrets change with a restart")
	}
	third := at(14)
	if len(third) != 2 || third[1] != second[0] {
		t.Error("after two weeks the first secret is not gone, or the second one is")
	}
	if late := at(28); len(late) != 1 || slices.Contains(third, late[0]) {
		t.Error("a secret is older than two weeks")
	}
	if early := at(20); len(early) != 2 {
		t.Error("a clock that is put back leaves no secret, or none of before")
	}
}

// Who has a backup, and so the key, has no secret of tickets; nor has who comes
// by the file alone.
func TestTicketSecretsAreNotTheKeys(t *testing.T) {
	e, _ := open(t, t.TempDir(), nil)
	secrets := e.TicketSecrets()
	var backup bytes.Buffer
	if err := e.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	other, _ := open(t, t.TempDir(), nil)
	if err := other.Restore(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	if other.Key().Public() != e.Key().Public() || slices.Equal(other.TicketSecrets(), secrets) {
		t.Error("who has the key has the secrets")
	}
	file := e.file(ticketsName)
	seeds, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stranger, _ := open(t, t.TempDir(), nil)
	if err := replaceFile(stranger.file(ticketsName), seeds); err != nil {
		t.Fatal(err)
	}
	if slices.Equal(stranger.TicketSecrets(), secrets) {
		t.Error("who has the file has the secrets")
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
}

// What can't be read, or written, costs nobody more than a longer handshake.
func TestTicketSecretsWithoutAFile(t *testing.T) {
	dir := t.TempDir()
	e, end := open(t, dir, nil)
	before := e.TicketSecrets()
	end()
	e, _ = open(t, dir, nil)
	if err := os.WriteFile(e.file(ticketsName), []byte(`{"made":`), 0o600); err != nil {
		t.Fatal(err)
	}
	after := e.TicketSecrets()
	if len(after) != 1 || slices.Equal(after, before) {
		t.Errorf("half a file gives %d secrets", len(after))
	}
	e, _ = open(t, t.TempDir(), nil)
	if err := os.Mkdir(e.file(ticketsName), 0o700); err != nil { // nothing can take its place
		t.Fatal(err)
	}
	if secrets := e.TicketSecrets(); len(secrets) != 1 || !slices.Equal(e.TicketSecrets(), secrets) {
		t.Error("without a file there is no secret, or another one each time")
	}
}
