package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		name string
		is   memory
		want int64
	}{
		{"nothing yet", memory{mapped: 6 * mb, free: 2 * mb, objects: 1 * mb}, 3*mb + 4*mb + mb/8 + mb},
		{"an office", memory{mapped: 90 * mb, free: 10 * mb, objects: 50 * mb, live: 30 * mb, roots: 4 * mb}, 30*mb + 64*mb + 2*mb + mb},
	} {
		if got := c.is.limit(); got != c.want {
			t.Errorf("%s: %d, not %d", c.name, got, c.want)
		}
	}
}

// Garbage doesn't add up, and what grows isn't looked through again and again.
func TestCollectByGrowth(t *testing.T) {
	// A run with a setting of its own would not be of the runtime's ways.
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	const piece, mb = 16 << 10, 1 << 20
	runtime.GC() // what other tests have left
	end := collectByGrowth()
	defer end() // which may be called again
	collections := func() uint32 {
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.NumGC
	}
	var live [][]byte
	for _, size := range []int{8 * mb, 64 * mb, 160 * mb} {
		before := collections()
		for len(live)*piece < size {
			live = append(live, make([]byte, piece))
		}
		if grew := collections() - before; grew > 12 {
			t.Errorf("growing to %d MB took %d collections", size/mb, grew)
		}
		before = collections()
		var most uint64
		for i := range 1000 * mb / piece {
			live[i%len(live)] = make([]byte, piece)
			if i%256 == 0 {
				m := readMemory()
				most = max(most, m.mapped-m.free)
			}
		}
		if during := collections() - before; during < 1 || during > uint32(4*1000*mb/size+8) {
			t.Errorf("a gigabyte of garbage beside %d MB took %d collections", size/mb, during)
		}
		if most > uint64(3*size+64*mb) {
			t.Errorf("beside %d MB there were %d MB of memory", size/mb, most/mb)
		}
	}
	runtime.KeepAlive(live)
	end()
	if percent := debug.SetGCPercent(100); percent != 100 {
		t.Errorf("the runtime has %d %% afterwards", percent)
	}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		t.Errorf("the runtime has a limit of %d afterwards", limit)
	}
	(&collecting{ended: true}).next() // as after a collection that comes late
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		t.Errorf("a late collection sets a limit of %d", limit)
	}
}
