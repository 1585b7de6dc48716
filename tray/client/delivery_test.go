package client_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"earshot/tray/chat"
)

// Two engines talk while connections break, acknowledgements are lost and
// overtake each other, and either of them is started anew: everything is there
// once, in order, on both sides.
func TestExactlyOnceInOrder(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inWorld(t, seed, func(t *testing.T, w *world) {
				ann, bo := w.home("Ann", "laptop"), w.home("Bo", "desk")
				ann.start()
				bo.start()
				w.until("Ann and Bo know each other", func() bool { return ann.sees("Bo").Online && bo.sees("Ann").Online })
				w.calm(true)
				want := map[*home][]string{}
				for i := range 120 {
					from, to := ann, bo
					if w.upTo(2) == 0 {
						from, to = bo, ann
					}
					text := fmt.Sprint(from.name, " says ", i)
					from.say(to.name, text)
					want[from] = append(want[from], text)
					settle(w.upTo(200 * time.Millisecond))
					switch w.upTo(25) {
					case 0:
						from.restart()
					case 1:
						to.restart()
					}
				}
				w.calm(false)
				for _, pair := range [][2]*home{{ann, bo}, {bo, ann}} {
					from, to := pair[0], pair[1]
					w.until("all is delivered", func() bool {
						return !slices.ContainsFunc(from.history(to.name), func(m chat.Message) bool { return m.State == chat.Sending })
					})
					if got := to.texts(from.name, true); !slices.Equal(got, want[from]) {
						t.Errorf("%s got\n%q, not\n%q", to.name, got, want[from])
					}
					for _, m := range from.history(to.name) {
						if m.State != chat.Received && (m.State != chat.Delivered || !m.Secure) {
							t.Errorf("%+v", m)
						}
					}
				}
			})
		})
	}
}
