package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"earshot/tray/chat"
	"earshot/tray/store"

	"go.uber.org/goleak"
)

// childVariable makes the test binary a process that stores messages until it
// is killed.
const childVariable = "EARSHOT_STORE_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		child(path)
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func add(t *testing.T, s *store.Store, messages ...chat.Message) []chat.Message {
	t.Helper()
	var changes []store.Change
	for _, m := range messages {
		changes = append(changes, &store.Add{Message: m})
	}
	if err := s.Apply(t.Context(), changes...); err != nil {
		t.Fatal(err)
	}
	for i, c := range changes {
		messages[i] = c.(*store.Add).Message
	}
	return messages
}

func TestMessagesComeBackAsTheyWere(t *testing.T) {
	name := "odd ?#% name.db"
	if runtime.GOOS == "windows" {
		name = "odd #% name.db" // which has no question marks in names
	}
	path := filepath.Join(t.TempDir(), name)
	s := open(t, path)
	at := time.Unix(1_800_000_000, 123456789)
	want := add(t, s,
		chat.Message{Peer: "Bo", Sender: "Ann", Text: "你好\x00 🎉", At: at, State: chat.Sending},
		chat.Message{Peer: "Bo", Sender: "Bo", Text: "", At: at.Add(1), State: chat.Received, Unread: true, Doubtful: true},
		chat.Message{Peer: chat.Everyone, Sender: "Ann", Text: "all", At: at.Add(2), State: chat.Failed, Problem: "Why."})
	got, err := s.History(t.Context(), "", 0, 10)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%v\n got %+v\nwant %+v", err, got, want)
	}
	// The same name in other letters is the same person.
	if got, err := s.History(t.Context(), "ＢＯ", 0, 1); err != nil || len(got) != 1 || got[0].ID != want[1].ID {
		t.Errorf("the last message with Bo: %+v, %v", got, err)
	}
	if got, err := s.History(t.Context(), "bo", want[1].ID, 10); err != nil || len(got) != 1 || got[0].ID != want[0].ID {
		t.Errorf("what was before: %+v, %v", got, err)
	}
	private := fs.FileMode(0o600)
	if runtime.GOOS == "windows" {
		private = 0o666 // all that modes say there is that it may be written to
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != private {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
}

func TestConversations(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "h.db"))
	m := add(t, s,
		chat.Message{Peer: "Bo", Sender: "Ann", State: chat.Sending, At: time.Unix(1, 0)},
		chat.Message{Peer: "Cho", Sender: "Cho", State: chat.Received, Unread: true, At: time.Unix(2, 0)},
		chat.Message{Peer: "cho", Sender: "cho", State: chat.Received, Unread: true, At: time.Unix(3, 0)},
		chat.Message{Peer: chat.Everyone, Sender: "Ann", State: chat.Sending, At: time.Unix(4, 0)})
	if err := s.Apply(t.Context(), &store.Done{
		Delivery: store.Delivery{Person: chat.Everyone}, Message: m[3].ID, State: chat.Failed, Problem: "Gone.",
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Message(t.Context(), m[3].ID); err != nil || got.Problem != "Gone." {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.Message(t.Context(), 999); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("a message that isn't there: %v", err)
	}
	list, err := s.Conversations(t.Context(), 2)
	want := []store.Conversation{{Peer: "cho", Unread: 2, Last: time.Unix(3, 0)}, {Peer: chat.Everyone, Last: time.Unix(4, 0)}}
	if err != nil || !slices.Equal(list, want) {
		t.Fatalf("conversations %+v, %v", list, err)
	}
	if err := s.Apply(t.Context(), &store.Read{Peer: "CHO", UpTo: m[2].ID}); err != nil {
		t.Fatal(err)
	}
	if list, _ = s.Conversations(t.Context(), 9); len(list) != 3 || slices.ContainsFunc(list, func(c store.Conversation) bool { return c.Unread > 0 }) {
		t.Errorf("after reading: %+v", list)
	}
}

func TestApplyIsAllOrNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "h.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Apply(ctx, &store.Add{Message: chat.Message{Peer: "Bo"}}); err == nil {
		t.Fatal("a cancelled change succeeded")
	}
	if got, err := s.History(t.Context(), "", 0, 9); err != nil || len(got) != 0 {
		t.Errorf("left behind: %+v, %v", got, err)
	}
}

func TestNewerTablesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("PRAGMA user_version = 999"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), path); !errors.Is(err, store.ErrNewer) {
		t.Errorf("opened, or failed otherwise: %v", err)
	}
}

// A process is killed while it stores messages: whatever it had announced by
// then is there, in order, and the database can be used.
func TestStoredMessagesSurviveAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.db")
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		var announced []int64
		for lines.Scan() {
			id, err := strconv.ParseInt(strings.TrimSpace(lines.Text()), 10, 64)
			if err != nil {
				t.Fatalf("the child printed %q", lines.Text())
			}
			announced = append(announced, id)
			if len(announced) == 20*(round+1) {
				// It is killed in the middle of the next change, and what it
				// announced until then is read too.
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		s := open(t, path)
		stored, err := s.History(t.Context(), "", 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		byID := make(map[int64]string)
		for _, m := range stored {
			byID[m.ID] = m.Text
		}
		for _, id := range announced {
			if byID[id] != fmt.Sprint("text ", id) {
				t.Errorf("round %d: message %d was announced and is now %q", round, id, byID[id])
			}
		}
		if len(announced) < 20 {
			t.Errorf("only %d messages were announced", len(announced))
		}
	}
}

func child(path string) {
	s, err := store.Open(context.Background(), path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	have, err := s.History(context.Background(), "", 0, 1)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	next := int64(1)
	if len(have) > 0 {
		next = have[0].ID + 1
	}
	for ; ; next++ {
		a := &store.Add{Message: chat.Message{Peer: "Bo", Sender: "Ann", Text: fmt.Sprint("text ", next), State: chat.Sending}}
		if err := s.Apply(context.Background(), a); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(a.Message.ID)
	}
}
