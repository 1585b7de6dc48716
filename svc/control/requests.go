package control

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"earshot/protocol/identity"
	"earshot/protocol/wire"
	"earshot/svc/engine"
	"earshot/svc/roster"
)

// Limits of what a client may say.
const (
	maxStatusText = 280 // bytes
	maxRunes      = 64  // of a display name, a department, a device's label
	maxCandidates = 8
	maxToken      = 128 // bytes of an invitation or a proof
	probeKeySize  = 32
)

// How much of a client's time each request takes: it may be burst ahead, and
// then waits. A flood costs only the one who floods.
const (
	burst = 5 * time.Second

	costFrame     = 10 * time.Millisecond
	costChange    = 500 * time.Millisecond // everybody is told of it
	costIntroduce = 100 * time.Millisecond
	costRemove    = time.Second
)

// serve does what a frame asks for. What it doesn't know it skips.
func (c *session) serve(m *wire.ToCoordinator) error {
	if wait := c.requests.Wait(time.Now(), cost(m), burst); wait > 0 && !c.sleep(wait) {
		return nil
	}
	switch body := m.Body.(type) {
	case *wire.ToCoordinator_Ping:
		c.pinged()
	case *wire.ToCoordinator_SetStatus:
		return c.setStatus(body.SetStatus)
	case *wire.ToCoordinator_SetCandidates:
		return c.setCandidates(body.SetCandidates)
	case *wire.ToCoordinator_Introduce:
		return c.introduce(body.Introduce)
	case *wire.ToCoordinator_RemoveDevice:
		return c.removeDevice(body.RemoveDevice)
	case *wire.ToCoordinator_JoinAnswer:
		c.joinAnswer(body.JoinAnswer)
	case *wire.ToCoordinator_Hello:
		return malformed("Your program has said hello twice. Update it, or report this as a mistake in it.")
	}
	return nil
}

func cost(m *wire.ToCoordinator) time.Duration {
	switch m.Body.(type) {
	case *wire.ToCoordinator_SetStatus, *wire.ToCoordinator_SetCandidates:
		return costChange
	case *wire.ToCoordinator_Introduce:
		return costIntroduce
	case *wire.ToCoordinator_RemoveDevice:
		return costRemove
	}
	return costFrame
}

// sleep waits, and says whether the session has not ended meanwhile.
func (c *session) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.done:
		return false
	}
}

func (c *session) setStatus(m *wire.SetStatus) error {
	status, err := parseStatus(m.Status)
	if err != nil {
		return err
	}
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ended {
		return nil
	}
	c.person.status = status
	if err := s.show(c.person); errors.Is(err, roster.ErrNameTaken) {
		return errOnline // somebody came in under the name of an invisible user
	}
	return nil
}

func (c *session) setCandidates(m *wire.SetCandidates) error {
	candidates, err := parseCandidates(m.Candidates)
	if err != nil {
		return err
	}
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.ended {
		c.candidates = candidates
		_ = s.show(c.person) // who is visible stays so
		s.tellAccount(c.person, c)
	}
	return nil
}

// introduce tells another device of this one. Nobody learns by it who is
// invisible, but the person's own devices.
func (c *session) introduce(m *wire.Introduce) error {
	key, err := identity.ParsePublicKey(m.Device)
	if err != nil || len(m.ProbeKey) != 0 && len(m.ProbeKey) != probeKeySize {
		return malformed("Your program asks for an introduction to what is no device. Update it, or report this as a mistake in it.")
	}
	candidates, err := parseCandidates(m.Candidates)
	if err != nil {
		return err
	}
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	other, now := s.devices[key], time.Now()
	if c.ended || other == nil || other == c || !c.mayReach(other, m.Answer, now) {
		s.metrics.drop("introduction to nobody")
		return nil
	}
	if !m.Answer {
		c.asks(other, now)
	}
	other.say(wire.Append(nil, &wire.ToClient{Body: &wire.ToClient_Introduction{Introduction: &wire.Introduction{
		User: c.person.user().Wire(), Device: c.key[:], Candidates: roster.WireCandidates(c.own(candidates)), ProbeKey: m.ProbeKey,
		Nat: m.Nat, Answer: m.Answer,
	}}}))
	s.metrics.introductions.Inc()
	return nil
}

// removeTime bounds the writing of an account without a device.
const removeTime = 10 * time.Second

// removeDevice takes a device off the client's own account. What comes of it,
// AccountChanged does.
func (c *session) removeDevice(m *wire.RemoveDevice) error {
	key, err := identity.ParsePublicKey(m.Key)
	if err != nil {
		return malformed("Your program wants to remove what is no device. Update it, or report this as a mistake in it.")
	}
	c.server.mu.Lock()
	name := c.person.account.Name
	c.server.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), removeTime)
	defer cancel()
	if owner, has := c.server.cfg.Accounts.OwnerOf(key); !has || nameKey(owner.Name) != nameKey(name) {
		c.server.metrics.drop("removal of somebody else's device")
		return nil
	}
	err = c.server.cfg.Accounts.RemoveDevice(ctx, name, key)
	if err != nil && !errors.Is(err, engine.ErrUnknown) {
		c.server.cfg.Log.Error("a device could not be removed", "name", name, "device", key.ID().Short(), "error", err)
		return errInternal
	}
	return nil
}

// parseStatus checks a status. None at all is being online.
func parseStatus(m *wire.Status) (roster.Status, error) {
	s := roster.Status{
		Presence: m.GetPresence(), Text: m.GetText(), DisplayName: m.GetDisplayName(), Department: m.GetDepartment(),
	}
	if _, known := wire.Presence_name[int32(s.Presence)]; !known || s.Presence == wire.Presence_PRESENCE_UNSPECIFIED {
		s.Presence = wire.Presence_PRESENCE_ONLINE
	}
	if len(s.Text) > maxStatusText {
		return s, malformed(fmt.Sprintf("The status text is too long. Write one of up to %d bytes, which are as many English letters or a third as many Chinese characters.", maxStatusText))
	}
	if !clean(s.Text) {
		return s, malformed("The status text holds characters that can't be shown. Write another one.")
	}
	if err := shortText("display name", s.DisplayName, maxRunes); err != nil {
		return s, err
	}
	return s, shortText("department", s.Department, maxRunes)
}

// shortText checks a text that stands in one line.
func shortText(what, text string, limit int) error {
	switch {
	case utf8.RuneCountInString(text) > limit:
		return malformed(fmt.Sprintf("The %s is too long. Choose one of up to %d characters.", what, limit))
	case !clean(text):
		return malformed(fmt.Sprintf("The %s holds characters that can't be shown. Choose another one.", what))
	}
	return nil
}

// clean says whether a text has no control characters, none that turn the
// direction of what stands beside it, and none that stands for nothing.
func clean(text string) bool {
	for _, r := range text {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// parseCandidates checks addresses.
func parseCandidates(all []*wire.Candidate) ([]roster.Candidate, error) {
	if len(all) > maxCandidates {
		return nil, malformed(fmt.Sprintf("Your program gives more than %d addresses of this device. Update it, or report this as a mistake in it.", maxCandidates))
	}
	var candidates []roster.Candidate
	for _, m := range all {
		at, err := wire.ParseAddress(m.GetAddress())
		if err != nil || at.Port() == 0 || at.Addr().IsUnspecified() || at.Addr().IsMulticast() {
			return nil, malformed("Your program gives an address of this device that is none. Update it, or report this as a mistake in it.")
		}
		candidates = append(candidates, roster.Candidate{Kind: m.GetKind(), Address: at})
	}
	return candidates, nil
}
