package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// collecting has Go's collector run when memory has doubled, which it does anyway,
// and not each two minutes, too: what twenty thousand sessions hold takes it half
// a second of a processor to look through, and nothing of it has changed.
//
// The runtime looks at its clock as long as it has a percentage to keep. So it
// has a limit instead, which follows from what the last collection left and is
// set anew after each. The mutex guards ended, and that nothing is set behind it.
type collecting struct {
	mu    sync.Mutex
	ended bool
}

// collectByGrowth begins, unless the environment has the administrator's own word
// on it. It is the whole process's; end gives the runtime its ways back, and may
// be called again.
func collectByGrowth() (end func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	c := new(collecting)
	c.next()
	percent := debug.SetGCPercent(-1)
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended = true
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(math.MaxInt64)
	})
}

// next sets the limit for the next collection, and is called after it.
func (c *collecting) next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	debug.SetMemoryLimit(readMemory().limit())
	// What nobody holds is gone with the next collection.
	runtime.AddCleanup(new([64]byte), (*collecting).next, c)
}

// memory is what the runtime has of the system, in bytes.
type memory struct {
	mapped  uint64 // all of it
	free    uint64 // of the heap, for whatever comes
	objects uint64 // of the heap, with those that are not swept yet
	live    uint64 // what the last collection left
	roots   uint64 // stacks and globals, which it looked through
}

func readMemory() memory {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/scan/stack:bytes"},
		{Name: "/gc/scan/globals:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	return memory{mapped: value(0) - value(1), free: value(2), objects: value(3), live: value(4), roots: value(5) + value(6)}
}

// leastHeap is a heap for which nobody collects, as the runtime has it.
const leastHeap = 4 << 20

// limit is how much memory there is when the heap has doubled: the runtime's goal
// without any setting, on top of all that isn't heap. Of a limit it leaves 3 %
// and a megabyte free.
func (m memory) limit() int64 {
	goal := max(2*m.live+m.roots, leastHeap)
	return int64(m.mapped - m.free - m.objects + goal + goal/32 + 1<<20)
}
