package engine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// claimForever claims one name after the other and prints each that was
// answered, in a process that is killed.
func claimForever(dir string) {
	e, err := Open(context.Background(), Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		name := fmt.Sprintf("%d of %d", i, os.Getpid())
		token, err := e.Invite(context.Background(), name, time.Now().Add(time.Hour))
		if err == nil {
			_, err = e.Claim(context.Background(), name, device(), PolicyInvite, token)
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("answered", name)
	}
}

// However a coordinator is killed, nobody whose claim was answered is missing.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	var answered []string
	for round := range 8 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "EARSHOT_TEST_CLAIM_FOREVER="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for kill := 1 + rand.IntN(60); lines.Scan(); kill-- {
			name, ok := strings.CutPrefix(lines.Text(), "answered ")
			if !ok {
				t.Errorf("round %d: it says %s", round, lines.Text())
			}
			answered = append(answered, name)
			if kill == 0 {
				// It goes on until the signal arrives, wherever that finds it.
				time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
			}
		}
		_ = cmd.Wait() // it was killed
		e, end := open(t, dir, nil)
		for _, name := range answered {
			if _, ok := e.Lookup(name); !ok {
				t.Errorf("round %d: %s is missing", round, name)
			}
		}
		end()
	}
	t.Logf("%d claims were answered", len(answered))
}

// fill makes a store with a few accounts and returns its directory, closed.
func fill(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	e, end := open(t, dir, nil)
	for i := range 20 {
		mustClaim(t, e, fmt.Sprint("name ", i), device(), PolicyOpen, mustInvite(t, e, ""))
	}
	end()
	return dir
}

// blocks are the files of a bucket that have records.
func blocks(t *testing.T, dir, bucket string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "engine", "jetstream", "*", "streams", "KV_"+bucket, "msgs", "*.blk"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	return files
}

// A store in which something is missing or has changed isn't opened as if
// nothing were wrong.
func TestDamage(t *testing.T) {
	edit := func(change func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			t.Helper()
			content, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, change(content), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	flip := func(at float64) func([]byte) []byte {
		return func(b []byte) []byte {
			b[int(float64(len(b))*at)] ^= 0x10
			return b
		}
	}
	block := func(bucket string) func(*testing.T, string) string {
		return func(t *testing.T, dir string) string { return blocks(t, dir, bucket)[0] }
	}
	in := func(name string) func(*testing.T, string) string {
		return func(_ *testing.T, dir string) string { return filepath.Join(dir, "engine", name) }
	}
	remove := func(t *testing.T, path string) {
		t.Helper()
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		what func(*testing.T, string) string
		how  func(*testing.T, string)
	}{
		{"cut short", block("accounts"), edit(func(b []byte) []byte { return b[:len(b)*9/10] })},
		{"cut by a byte", block("accounts"), edit(func(b []byte) []byte { return b[:len(b)-1] })},
		{"empty", block("accounts"), edit(func([]byte) []byte { return nil })},
		{"a bit at the start", block("accounts"), edit(flip(0.02))},
		{"a bit in the middle", block("accounts"), edit(flip(0.5))},
		{"a bit at the end", block("accounts"), edit(flip(0.999))},
		{"invites cut short", block("invites"), edit(func(b []byte) []byte { return b[:len(b)*9/10] })},
		{"no blocks", block("accounts"), remove},
		{"no store", in("jetstream"), remove},
		{"no seal", in(sealName), remove},
		{"seal of zeros", in(sealName), edit(func(b []byte) []byte { return make([]byte, len(b)) })},
		{"no key", in(keyName), remove},
		{"key cut short", in(keyName), edit(func(b []byte) []byte { return b[:len(b)/2] })},
		{"garbage to restore", in(restoreName), func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := fill(t)
			c.how(t, c.what(t, dir))
			e, err := Open(t.Context(), Config{Dir: dir})
			if err == nil {
				t.Errorf("it opens, with %d accounts", len(e.Accounts()))
				e.Close()
			} else if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), filepath.Join(dir, "engine")) || !strings.Contains(err.Error(), "restore") {
				t.Errorf("it says: %v", err)
			} else {
				t.Log(err)
			}
		})
	}
}

// What makes NATS read its records anew doesn't count as damage, nor does a
// write that was under way at a power cut, or a seal that was.
func TestNoDamage(t *testing.T) {
	for name, how := range map[string]func(dir string) error{
		"no index": func(dir string) error {
			files, _ := filepath.Glob(filepath.Join(dir, "engine", "jetstream", "*", "streams", "*", "msgs", "index.db"))
			var errs []error
			for _, f := range append(files, files[0]+".tmp") {
				errs = append(errs, os.RemoveAll(f))
			}
			return errors.Join(errs...)
		},
		"half a record": func(dir string) error {
			f, err := os.OpenFile(blocks(t, dir, "accounts")[0], os.O_WRONLY|os.O_APPEND, 0)
			if err == nil {
				_, err = f.Write([]byte{200, 0, 0, 0, 1, 2, 3})
				err = errors.Join(err, f.Close())
			}
			return err
		},
		"half a seal": func(dir string) error {
			path := filepath.Join(dir, "engine", sealName)
			s, err := openSeal(path)
			if err != nil {
				return err
			}
			defer s.file.Close()
			_, err = s.file.WriteAt(make([]byte, 20), int64((s.generation+1)%2)*sealPlace)
			return err
		},
		"only begun": func(dir string) error {
			// A first run that came as far as the key.
			return errors.Join(os.RemoveAll(filepath.Join(dir, "engine", "jetstream")), os.Remove(filepath.Join(dir, "engine", sealName)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fill(t)
			if err := how(dir); err != nil {
				t.Fatal(err)
			}
			e, end := open(t, dir, nil)
			if n := len(e.Accounts()); n != 20 && name != "only begun" {
				t.Errorf("%d accounts", n)
			}
			mustClaim(t, e, "another", device(), PolicyOpen, "")
			end()
			open(t, dir, nil)
		})
	}
}

// After a write that fails nothing is written any more, whatever was there can
// be read, and the next engine goes on from what is on the disk.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	e, end := open(t, dir, nil)
	mustClaim(t, e, "ann", device(), PolicyOpen, "")
	if err := e.Err(); err != nil {
		t.Error(err)
	}
	if err := e.seal.file.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := e.Claim(t.Context(), "bo", device(), PolicyOpen, "")
		refused(t, err, ErrStore)
	}
	refused(t, e.Err(), ErrStore)
	if text := saved(t, e); !bytes.Contains(text, []byte(`"ann"`)) || bytes.Contains(text, []byte(`"bo"`)) {
		t.Errorf("the backup is %s", text)
	}
	if _, ok := e.Lookup("bo"); ok || len(e.Accounts()) != 1 {
		t.Error("what was not answered is there")
	}
	end()
	// Bo's claim had reached the store, only nobody could be told.
	e, _ = open(t, dir, nil)
	if _, ok := e.Lookup("ann"); !ok || len(e.Accounts()) != 2 {
		t.Errorf("%v", e.Accounts())
	}
	mustClaim(t, e, "cy", device(), PolicyOpen, "")
}
