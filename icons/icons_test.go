//go:build linux

package icons

import (
	"bytes"
	"errors"
	"image/png"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"earshot/installer/bed"
)

var states = []State{Online, Away, Busy, Offline}

func TestEveryIconIsThere(t *testing.T) {
	decodes := func(b []byte, width int) {
		t.Helper()
		picture, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Error(err)
			return
		}
		if picture.Bounds().Dx() != width || picture.Bounds().Dy() != width {
			t.Errorf("a picture of %v instead of %d pixels", picture.Bounds(), width)
		}
	}
	seen := make(map[string]bool)
	for _, panel := range []Panel{AnyPanel, LightPanel, DarkPanel} {
		for _, state := range states {
			for unread := range 12 {
				b := TrayPNG(panel, state, unread)
				decodes(b, 48)
				seen[string(b)] = true
				if ico := TrayICO(panel, state, unread); !bytes.HasPrefix(ico, []byte{0, 0, 1, 0, 2, 0}) {
					t.Errorf("%s is no icon file of two pictures", trayName(panel, state, unread))
				}
			}
		}
	}
	if len(seen) != 3*len(states)*11 { // 10 and 11 unread look the same
		t.Errorf("%d different icons, not %d", len(seen), 3*len(states)*11)
	}
	for _, size := range Sizes {
		decodes(AppPNG(size), size)
	}
	if !bytes.HasPrefix(AppICO(), []byte{0, 0, 1, 0}) {
		t.Error("app.ico is no icon file")
	}
}

// What is committed is what the sources give, and rendering is repeatable: twice
// gives the same bytes. Another version of the tools may place a pixel
// differently, so the committed pictures are compared by what they show.
func TestRendered(t *testing.T) {
	bed.Need(t, "rsvg-convert", "convert")
	once, twice := t.TempDir(), t.TempDir()
	var renders sync.WaitGroup
	for _, out := range []string{once, twice} {
		renders.Go(func() {
			if b, err := exec.CommandContext(t.Context(), "./render.sh", out).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, b)
			}
		})
	}
	renders.Wait()
	if t.Failed() {
		return
	}
	err := fs.WalkDir(os.DirFS(once), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		fresh, err1 := os.ReadFile(filepath.Join(once, name))
		again, err2 := os.ReadFile(filepath.Join(twice, name))
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if !bytes.Equal(fresh, again) {
			t.Errorf("%s is not the same twice", name)
		}
		committed, err := files.ReadFile(name)
		switch {
		case err != nil:
			t.Errorf("%s is not committed; run make icons", name)
		case filepath.Ext(name) == ".png" && !looksAlike(t, fresh, committed):
			t.Errorf("%s is not what its source gives; run make icons", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// looksAlike says whether two pictures differ by less than a hundredth of what
// they could.
func looksAlike(t *testing.T, a, b []byte) bool {
	t.Helper()
	one, err1 := png.Decode(bytes.NewReader(a))
	other, err2 := png.Decode(bytes.NewReader(b))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if one.Bounds() != other.Bounds() {
		return false
	}
	difference, most := 0.0, 0.0
	for y := range one.Bounds().Dy() {
		for x := range one.Bounds().Dx() {
			r1, g1, b1, a1 := one.At(x, y).RGBA()
			r2, g2, b2, a2 := other.At(x, y).RGBA()
			for _, d := range []float64{
				float64(r1) - float64(r2), float64(g1) - float64(g2), float64(b1) - float64(b2), float64(a1) - float64(a2),
			} {
				difference += math.Abs(d)
				most += 0xffff
			}
		}
	}
	return difference < most/100
}
