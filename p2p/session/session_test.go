package session

import (
	"testing"
	"time"
)

func TestMessages(t *testing.T) {
	inBed(t, 2*time.Millisecond, func(b *bed) {
		low, high := b.pair()
		start := time.Now()
		low.say(high, "hello")
		// The handshake, the hellos, the message.
		if took := time.Since(start); took > 3*4*time.Millisecond+10*time.Millisecond {
			b.Errorf("the first message took %v", took)
		}
		high.has("hello")
		low.say(high, numbered("a", 500)...)
		high.say(low, numbered("b", 500)...)
		high.has(append([]string{"hello"}, numbered("a", 500)...)...)
		low.has(numbered("b", 500)...)
		if low.doubled+high.doubled > 0 {
			b.Errorf("%d items arrived twice", low.doubled+high.doubled)
		}
	})
}
