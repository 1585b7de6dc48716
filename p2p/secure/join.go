package secure

import (
	"context"
	"sync"
	"time"

	"earshot/p2p"
	wirec "earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// offerFor is how long a code lets another device in.
const offerFor = 10 * time.Minute

// offer is the code by which one other device may join; it is good once. One
// mutex guards it.
type offer struct {
	mu      sync.Mutex
	code    identity.JoinCode
	expires time.Time // zero if there is none
}

// answer decides about a device that asks to join: the signature of its
// endorsement, or nothing if it doesn't know the code.
func (o *offer) answer(key identity.Key, account string, request *wire.JoinRequest, now time.Time) *wire.JoinAnswer {
	answer := &wire.JoinAnswer{Id: request.GetId()}
	device, err := identity.ParsePublicKey(request.GetDevice())
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil || !now.Before(o.expires) || !o.code.Verify(account, device, request.GetProof()) {
		return answer
	}
	o.expires = time.Time{}
	answer.Signature = key.Endorse(account, device)
	return answer
}

// OfferJoin implements p2p.Transport.
func (t *Transport) OfferJoin() (identity.JoinCode, time.Time, error) {
	if !t.connected.Load() {
		return identity.JoinCode{}, time.Time{}, p2p.ErrNotConnected
	}
	t.offer.mu.Lock()
	defer t.offer.mu.Unlock()
	t.offer.code, t.offer.expires = identity.NewJoinCode(), time.Now().Add(offerFor)
	return t.offer.code, t.offer.expires, nil
}

// RemoveDevice implements p2p.Transport.
func (t *Transport) RemoveDevice(_ context.Context, device identity.PublicKey) error {
	return t.control.Send(&wire.ToCoordinator{Body: &wire.ToCoordinator_RemoveDevice{
		RemoveDevice: &wire.RemoveDevice{Key: device[:]},
	}})
}

// joinProof is this device's proof that it was told a code.
func (t *Transport) joinProof() []byte {
	if t.cfg.Join == nil {
		return nil
	}
	return t.cfg.Join.Proof(wirec.NameKey(t.cfg.Name), t.cfg.Key.Public())
}
