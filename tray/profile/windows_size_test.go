package profile

import (
	"maps"
	"os"
	"testing"
)

func TestWindowSizes(t *testing.T) {
	p, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got := p.WindowSizes(); len(got) != 0 {
		t.Errorf("a new profile has %v", got)
	}
	want := map[string][2]int{"conversation": {500, 610}, "find": {380, 700}}
	if err := p.KeepWindowSizes(want); err != nil {
		t.Fatal(err)
	}
	if got := p.WindowSizes(); !maps.Equal(got, want) {
		t.Errorf("%v was kept, want %v", got, want)
	}
	if err := os.WriteFile(p.Windows(), []byte("conversation = 'wide'\n\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.WindowSizes(); len(got) != 0 {
		t.Errorf("a broken file holds %v", got)
	}
}
