package idle

import (
	"testing"
	"time"
)

// The system tells, and what it tells is no time before its start.
func TestSession(t *testing.T) {
	s, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	now, _, _ := getTickCount.Call()
	idle, err := s.idle(t.Context())
	if err != nil || idle < 0 || idle > time.Duration(uint32(now))*time.Millisecond+time.Minute {
		t.Errorf("nothing was touched for %v of %v ms, %v", idle, now, err)
	}
}
