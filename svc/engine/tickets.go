package engine

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"os"
	"time"
)

// ticketTime is for how long tickets of TLS are given by one secret. A ticket is
// good for a week, so the secret is kept for another such time, and then gone.
const ticketTime = 7 * 24 * time.Hour

// seeds are what the secrets of tickets are made from, beside the coordinator's
// key: the newest, and the one before. They are in no backup, and none gets older
// than two weeks, so who comes by the key later reads no ticket of before. Without
// them nothing is lost: clients come without a ticket once.
type seeds struct {
	Made  time.Time `json:"made"` // the newest
	Seeds [][]byte  `json:"seeds"`
}

// next returns what there is at a time, and whether that is something new.
func (s seeds) next(now time.Time) (seeds, bool) {
	age := now.Sub(s.Made)
	if len(s.Seeds) > 0 && age >= 0 && age < ticketTime {
		return s, false
	}
	fresh := make([]byte, 32)
	rand.Read(fresh)
	next := seeds{Made: now.UTC().Round(0), Seeds: [][]byte{fresh}}
	if len(s.Seeds) > 0 && age < 2*ticketTime {
		next.Seeds = append(next.Seeds, s.Seeds[0])
	}
	return next, true
}

// TicketSecrets returns the secrets of TLS's tickets (see identity.Resumable), the
// one for new tickets first. They change with the key, and each week; whoever
// serves for longer asks again.
func (e *Engine) TicketSecrets() [][32]byte {
	e.ticketing.Lock()
	defer e.ticketing.Unlock()
	if len(e.seeds.Seeds) == 0 {
		text, err := os.ReadFile(e.file(ticketsName))
		if err == nil && json.Unmarshal(text, &e.seeds) != nil {
			e.cfg.Log.Warn("the secrets of session tickets can't be read, and are made anew", "file", e.file(ticketsName))
			e.seeds = seeds{}
		}
	}
	next, fresh := e.seeds.next(e.now())
	if e.seeds = next; fresh {
		if err := replaceFile(e.file(ticketsName), marshal(next)); err != nil {
			e.cfg.Log.Warn("the secrets of session tickets are not stored: clients come back more slowly after a restart", "error", err)
		}
	}
	key := e.Key().Secret("session tickets")
	var secrets [][32]byte
	for _, seed := range next.Seeds {
		mac := hmac.New(sha256.New, key[:])
		mac.Write(seed)
		secrets = append(secrets, [32]byte(mac.Sum(nil)))
	}
	return secrets
}
