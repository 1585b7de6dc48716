package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("EARSHOT_TEST_CLAIM_FOREVER"); dir != "" {
		claimForever(dir)
	}
	goleak.VerifyTestMain(m)
}

// open opens the engine of a directory until the test ends, or the returned
// function is called.
func open(t testing.TB, dir string, onChange func(before, after Account)) (*Engine, func()) {
	t.Helper()
	e, err := Open(t.Context(), Config{Dir: dir, OnChange: onChange, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	closed := sync.OnceFunc(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(closed)
	return e, closed
}

func device() Device { return Device{Key: identity.NewKey().Public(), Label: "a laptop"} }

// claim claims and must succeed.
func mustClaim(t testing.TB, e *Engine, name string, d Device, p Policy, token string) Account {
	t.Helper()
	a, err := e.Claim(t.Context(), name, d, p, token)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return a
}

func mustInvite(t testing.TB, e *Engine, name string) string {
	t.Helper()
	token, err := e.Invite(t.Context(), name, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func refused(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || !errors.Is(err, ErrEngine) {
		t.Errorf("it gives %v, not %v", err, want)
	}
}

func TestOpenPolicy(t *testing.T) {
	e, _ := open(t, t.TempDir(), nil)
	ann, other := device(), device()
	a := mustClaim(t, e, "Ann", ann, PolicyOpen, "")
	if a.Name != "Ann" || a.Pending || len(a.Devices) != 1 || a.Devices[0].Key != ann.Key || a.Created.IsZero() || a.Devices[0].Added.IsZero() {
		t.Errorf("%+v", a)
	}
	if again := mustClaim(t, e, "aNN", ann, PolicyInvite, ""); !again.same(a) {
		t.Errorf("claimed again: %+v", again)
	}
	_, err := e.Claim(t.Context(), "ANN", other, PolicyOpen, "")
	refused(t, err, ErrTaken)
	_, err = e.Claim(t.Context(), "bo", ann, PolicyOpen, "")
	refused(t, err, ErrOtherAccount)
	_, err = e.Claim(t.Context(), "a,b", other, PolicyOpen, "")
	if !errors.Is(err, classic.ErrName) {
		t.Errorf("a bad name: %v", err)
	}
	_, err = e.Claim(t.Context(), "bo", other, "closed", "")
	refused(t, err, ErrPolicy)
	_, err = e.Claim(t.Context(), "bo", Device{Key: other.Key, Label: string(make([]byte, 600))}, PolicyOpen, "")
	refused(t, err, ErrDevice)
	if got, ok := e.Lookup("ann"); !ok || !got.same(a) {
		t.Errorf("lookup: %+v", got)
	}
	if got, ok := e.OwnerOf(ann.Key); !ok || !got.same(a) {
		t.Errorf("owner: %+v", got)
	}
	if _, ok := e.OwnerOf(other.Key); ok {
		t.Error("a stranger owns something")
	}
}

func TestInvitePolicy(t *testing.T) {
	e, _ := open(t, t.TempDir(), nil)
	ann, bo := device(), device()
	_, err := e.Claim(t.Context(), "ann", ann, PolicyInvite, "")
	refused(t, err, ErrInviteNeeded)
	_, err = e.Claim(t.Context(), "ann", ann, PolicyInvite, "NOTATOKEN")
	refused(t, err, ErrInviteInvalid)
	_, err = e.Invite(t.Context(), "", time.Now())
	refused(t, err, ErrExpiry)

	token := mustInvite(t, e, "")
	mustClaim(t, e, "ann", ann, PolicyInvite, token)
	mustClaim(t, e, "ann", ann, PolicyInvite, token) // the answer was lost
	_, err = e.Claim(t.Context(), "bo", bo, PolicyInvite, token)
	refused(t, err, ErrInviteInvalid)

	// One for a name is good for that name only, whether it is taken or not.
	forBo := mustInvite(t, e, "Bo")
	_, err = e.Claim(t.Context(), "cy", bo, PolicyInvite, forBo)
	refused(t, err, ErrInviteInvalid)
	_, err = e.Claim(t.Context(), "ann", bo, PolicyInvite, forBo)
	refused(t, err, ErrInviteInvalid)
	mustClaim(t, e, "bo", bo, PolicyInvite, forBo)

	// One for any new account takes nobody's away, and isn't lost by the try.
	any := mustInvite(t, e, "")
	_, err = e.Claim(t.Context(), "ann", device(), PolicyInvite, any)
	refused(t, err, ErrTaken)
	mustClaim(t, e, "cy", device(), PolicyInvite, any)

	// One for ann's name lets a second device in.
	second := device()
	a := mustClaim(t, e, "ann", second, PolicyOpen, mustInvite(t, e, "ann"))
	if len(a.Devices) != 2 || a.Devices[1].Key != second.Key {
		t.Errorf("%+v", a)
	}

	late := mustInvite(t, e, "")
	e.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	_, err = e.Claim(t.Context(), "dee", device(), PolicyInvite, late)
	refused(t, err, ErrInviteInvalid)
	if _, err := e.Invite(t.Context(), "", time.Now().Add(3*time.Hour)); err != nil || len(e.contents.invites) != 1 {
		t.Errorf("expired invitations stay: %v, %v", e.contents.invites, err)
	}
}

func TestApprovePolicy(t *testing.T) {
	e, _ := open(t, t.TempDir(), nil)
	ann := device()
	for range 2 {
		a, err := e.Claim(t.Context(), "ann", ann, PolicyApprove, "")
		refused(t, err, ErrPending)
		if !a.Pending || a.Name != "ann" {
			t.Errorf("%+v", a)
		}
	}
	_, err := e.Claim(t.Context(), "ann", device(), PolicyApprove, "")
	refused(t, err, ErrTaken)
	_, err = e.AddDevice(t.Context(), "ann", device())
	refused(t, err, ErrPending)
	if err := e.Approve(t.Context(), "ANN"); err != nil {
		t.Fatal(err)
	}
	if a := mustClaim(t, e, "ann", ann, PolicyApprove, ""); a.Pending {
		t.Error("it still waits")
	}
	refused(t, e.Approve(t.Context(), "bo"), ErrUnknown)

	// An invitation is an approval, at once or later; so is another policy.
	mustClaim(t, e, "bo", device(), PolicyApprove, mustInvite(t, e, ""))
	cy, dee := device(), device()
	_, err = e.Claim(t.Context(), "cy", cy, PolicyApprove, "EXPIRED")
	refused(t, err, ErrPending)
	mustClaim(t, e, "cy", cy, PolicyApprove, mustInvite(t, e, "cy"))
	_, err = e.Claim(t.Context(), "dee", dee, PolicyApprove, "")
	refused(t, err, ErrPending)
	mustClaim(t, e, "dee", dee, PolicyOpen, "")
	if e.contents.pending != 0 {
		t.Errorf("%d seem to wait", e.contents.pending)
	}
	for i := range maxPending {
		e.contents.set(fmt.Sprint("waiting", i), Account{Name: fmt.Sprint("waiting", i), Pending: true})
	}
	_, err = e.Claim(t.Context(), "one too many", device(), PolicyApprove, "")
	refused(t, err, ErrFull)
}

func TestDevices(t *testing.T) {
	e, _ := open(t, t.TempDir(), nil)
	first, second := device(), device()
	mustClaim(t, e, "ann", first, PolicyOpen, "")
	mustClaim(t, e, "bo", device(), PolicyOpen, "")
	second.Endorsements = []Endorsement{{By: first.Key, Signature: []byte("signed")}}
	for range 2 {
		a, err := e.AddDevice(t.Context(), "Ann", second)
		if err != nil || len(a.Devices) != 2 || string(a.Devices[1].Endorsements[0].Signature) != "signed" {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	_, err := e.AddDevice(t.Context(), "bo", second)
	refused(t, err, ErrOtherAccount)
	_, err = e.AddDevice(t.Context(), "nobody", device())
	refused(t, err, ErrUnknown)
	_, err = e.AddDevice(t.Context(), "bo", Device{Key: device().Key, Endorsements: second.Endorsements})
	refused(t, err, ErrUnknown)

	// Removed, it has no way back but by a device or an administrator.
	refused(t, e.RemoveDevice(t.Context(), "bo", second.Key), ErrUnknown)
	if err := e.RemoveDevice(t.Context(), "ann", second.Key); err != nil {
		t.Fatal(err)
	}
	if a, _ := e.Lookup("ann"); len(a.Devices) != 1 || len(a.Removed) != 1 || a.Removed[0] != second.Key {
		t.Errorf("%+v", a)
	}
	if _, ok := e.OwnerOf(second.Key); ok {
		t.Error("it owns something still")
	}
	_, err = e.Claim(t.Context(), "ann", second, PolicyOpen, "")
	refused(t, err, ErrRemoved)
	if a, err := e.AddDevice(t.Context(), "ann", second); err != nil || len(a.Removed) != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	for i := 2; i < MaxDevices; i++ {
		if _, err := e.AddDevice(t.Context(), "ann", device()); err != nil {
			t.Fatal(err)
		}
	}
	_, err = e.AddDevice(t.Context(), "ann", device())
	refused(t, err, ErrTooManyDevices)
	_, err = e.Claim(t.Context(), "ann", device(), PolicyOpen, mustInvite(t, e, "ann"))
	refused(t, err, ErrTooManyDevices)
}

// A device that was let in by an invitation isn't let in by it again.
func TestAnInvitationEndsWithTheDevice(t *testing.T) {
	e, _ := open(t, t.TempDir(), nil)
	for name, end := range map[string]func(string, Device) error{
		"device": func(name string, d Device) error { return e.RemoveDevice(t.Context(), name, d.Key) },
		"reset":  func(name string, d Device) error { return e.Reset(t.Context(), name) },
		"remove": func(name string, d Device) error { return e.Remove(t.Context(), name) },
	} {
		d, token := device(), mustInvite(t, e, name)
		mustClaim(t, e, name, d, PolicyInvite, token)
		if err := end(name, d); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Claim(t.Context(), name, d, PolicyInvite, token); err == nil {
			t.Errorf("%s: it is in again", name)
		}
	}
}

func TestResetAndRemove(t *testing.T) {
	e, _ := open(t, t.TempDir(), nil)
	lost, found := device(), device()
	mustClaim(t, e, "ann", lost, PolicyOpen, "")
	old := mustInvite(t, e, "ann")
	if err := e.Reset(t.Context(), "Ann"); err != nil {
		t.Fatal(err)
	}
	_, err := e.Claim(t.Context(), "ann", lost, PolicyOpen, "")
	refused(t, err, ErrRemoved)
	_, err = e.Claim(t.Context(), "ann", found, PolicyOpen, "")
	refused(t, err, ErrInviteNeeded)
	_, err = e.Claim(t.Context(), "ann", found, PolicyOpen, old)
	refused(t, err, ErrInviteInvalid)
	_, err = e.Claim(t.Context(), "ann", found, PolicyOpen, mustInvite(t, e, ""))
	refused(t, err, ErrInviteNeeded)
	if a := mustClaim(t, e, "ann", found, PolicyOpen, mustInvite(t, e, "ann")); len(a.Devices) != 1 {
		t.Errorf("%+v", a)
	}

	if err := e.Remove(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	refused(t, e.Remove(t.Context(), "ann"), ErrUnknown)
	refused(t, e.Reset(t.Context(), "ann"), ErrUnknown)
	mustClaim(t, e, "ann", lost, PolicyOpen, "")
	mustClaim(t, e, "bo", found, PolicyOpen, "")
}

// Of two devices that claim a name at once, one gets it.
func TestOneWins(t *testing.T) {
	e, _ := open(t, t.TempDir(), nil)
	for i := range 100 {
		name := fmt.Sprint("name ", i)
		var wins [2]error
		var both sync.WaitGroup
		devices := [2]Device{device(), device()}
		for j := range 2 {
			both.Go(func() { _, wins[j] = e.Claim(t.Context(), name, devices[j], PolicyOpen, "") })
		}
		both.Wait()
		winner := 0
		if wins[0] != nil {
			winner = 1
		}
		if wins[winner] != nil || !errors.Is(wins[1-winner], ErrTaken) {
			t.Fatalf("%s: %v", name, wins)
		}
		if a, _ := e.Lookup(name); len(a.Devices) != 1 || a.Devices[0].Key != devices[winner].Key {
			t.Fatalf("%s: %+v", name, a)
		}
	}
	if n := len(e.Accounts()); n != 100 {
		t.Errorf("%d accounts", n)
	}
}

// Everything that was there is there after a restart.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	e, end := open(t, dir, nil)
	key := e.Key()
	ann := device()
	for _, name := range []string{"ann", "李雷", "bo"} {
		d := device()
		if name == "ann" {
			d = ann
		}
		mustClaim(t, e, name, d, PolicyOpen, "")
	}
	token, used := mustInvite(t, e, "cy"), mustInvite(t, e, "")
	cy := device()
	mustClaim(t, e, "dee", cy, PolicyInvite, used)
	for _, err := range []error{e.Remove(t.Context(), "bo"), e.RemoveDevice(t.Context(), "ann", ann.Key)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	before := e.Accounts()
	end()
	if _, err := e.Claim(t.Context(), "eve", device(), PolicyOpen, ""); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed engine says %v", err)
	}
	for range 2 { // deleted records are purged by the first
		e, end = open(t, dir, nil)
		equal(t, e.Accounts(), before)
		if e.Key().Public() != key.Public() {
			t.Error("the key is another one")
		}
		end()
	}
	e, _ = open(t, dir, nil)
	_, err := e.Claim(t.Context(), "ann", ann, PolicyOpen, "")
	refused(t, err, ErrRemoved)
	_, err = e.Claim(t.Context(), "eve", device(), PolicyInvite, used)
	refused(t, err, ErrInviteInvalid)
	mustClaim(t, e, "dee", cy, PolicyInvite, used)
	mustClaim(t, e, "cy", device(), PolicyInvite, token)
	mustClaim(t, e, "bo", device(), PolicyOpen, "")
	if runtime.GOOS != "windows" {
		info, err := os.Stat(filepath.Join(dir, "engine", keyName))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key's mode is %v, %v", info.Mode(), err)
		}
	}
}

func equal(t testing.TB, got, want []Account) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d accounts, not %d", len(got), len(want))
	}
	for i := range got {
		if !got[i].same(want[i]) {
			t.Errorf("%+v\nwas\n%+v", got[i], want[i])
		}
	}
}

func TestTokensAreNotStored(t *testing.T) {
	dir := t.TempDir()
	e, end := open(t, dir, nil)
	token := mustInvite(t, e, "")
	var b bytes.Buffer
	if err := e.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	end()
	if bytes.Contains(b.Bytes(), []byte(token)) {
		t.Error("it is in the backup")
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		if text, err := os.ReadFile(path); err != nil || bytes.Contains(text, []byte(token)) {
			t.Errorf("it is in %s, %v", path, err)
		}
		return nil
	})
	if err != nil || files < 5 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestOneProcessOnly(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, nil)
	_, err := Open(t.Context(), Config{Dir: dir})
	refused(t, err, ErrInUse)
}

// Changes are told in their order, by a goroutine that holds nothing.
func TestOnChange(t *testing.T) {
	var e *Engine
	type told struct{ before, after Account }
	tells := make(chan told, 100)
	ready := make(chan struct{})
	e, end := open(t, t.TempDir(), func(before, after Account) {
		<-ready
		if len(after.Devices) == 1 && !before.Pending {
			if a, ok := e.Lookup(after.Name); !ok || a.Name != after.Name {
				t.Errorf("looking it up gives %+v", a)
			}
		}
		tells <- told{before, after}
	})
	close(ready)
	d := device()
	_, err := e.Claim(t.Context(), "ann", d, PolicyApprove, "")
	refused(t, err, ErrPending)
	mustClaim(t, e, "ann", d, PolicyOpen, "")
	mustClaim(t, e, "ann", d, PolicyOpen, "") // no change
	if err := errors.Join(e.Approve(t.Context(), "ann"), e.RemoveDevice(t.Context(), "ann", d.Key), e.Remove(t.Context(), "ann")); err != nil {
		t.Fatal(err)
	}
	end()
	close(tells)
	var states []string
	last := Account{}
	for told := range tells {
		if !told.before.same(last) {
			t.Errorf("before is %+v, and was %+v", told.before, last)
		}
		last = told.after
		states = append(states, fmt.Sprint(last.Name, last.Pending, len(last.Devices)))
	}
	if want := "[anntrue 1 annfalse 1 annfalse 0 false 0]"; fmt.Sprint(states) != want {
		t.Errorf("%v", states)
	}
}

func TestCancelled(t *testing.T) {
	e, _ := open(t, t.TempDir(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Claim(ctx, "ann", device(), PolicyOpen, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	mustClaim(t, e, "ann", device(), PolicyOpen, "")
}
