package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkClaim is a claim of a new name, beside the floor of anything that
// survives a power cut: one small write, and a sync of the file.
func BenchmarkClaim(b *testing.B) {
	b.Run("engine", func(b *testing.B) {
		e, _ := open(b, b.TempDir(), nil)
		for i := 0; b.Loop(); i++ {
			if _, err := e.Claim(b.Context(), fmt.Sprint("name ", i), device(), PolicyOpen, ""); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "file"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		record := make([]byte, 300)
		for b.Loop() {
			if _, err := f.Write(record); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOpen is a start with a thousand accounts.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	e, end := open(b, dir, nil)
	for i := range 1000 {
		mustClaim(b, e, fmt.Sprint("name ", i), device(), PolicyOpen, "")
	}
	end()
	for b.Loop() {
		_, end := open(b, dir, nil)
		end()
	}
}
