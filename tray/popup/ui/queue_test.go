package ui

import (
	"slices"
	"testing"
)

func TestQueue(t *testing.T) {
	var q Queue
	var did []int
	wakes := 0
	post := func(n int) { q.Post(func() { did = append(did, n) }) }
	post(1) // before the loop runs
	q.Open(func() { wakes++ })
	post(2)
	q.Post(func() { did = append(did, 3); post(5) })
	post(4)
	q.Drain()
	if want := []int{1, 2, 3, 4}; !slices.Equal(did, want) || wakes != 2 {
		t.Errorf("did %v with %d wakes; what was posted meanwhile waits for a second", did, wakes)
	}
	q.Drain()
	post(6)
	q.End()
	post(7)
	q.Drain()
	if want := []int{1, 2, 3, 4, 5}; !slices.Equal(did, want) || wakes != 3 {
		t.Errorf("did %v with %d wakes", did, wakes)
	}
}
