package stun

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"net/netip"
	"time"

	"github.com/pion/stun/v3"
)

// attrCookie is the attribute that carries a Cookie, both ways. Its number is in
// the range that whoever does not know it ignores (RFC 8489, 18.3).
const attrCookie stun.AttrType = 0xCEA5

// cookieTime is for how long cookies are given out that are alike; each is good
// for at least this long, and at most twice as long.
const cookieTime = 10 * time.Minute

// Cookie is what only somebody who gets answers at an address can know: it is
// given to that address, for a token, and brought back by a later request. It
// says nothing to anybody else.
type Cookie [8]byte

// cookies makes and checks cookies, and remembers none: they are a keyed hash of
// what they are for. It is used by one goroutine at a time.
type cookies struct {
	mac hash.Hash
	buf [8 + 16]byte
	sum [sha256.Size]byte
}

func newCookies() cookies {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // it never fails
	return cookies{mac: hmac.New(sha256.New, secret[:])}
}

// of returns the cookie that is given out now.
func (c *cookies) of(at netip.Addr, token []byte, now time.Time) Cookie {
	return c.in(now.Unix()/int64(cookieTime/time.Second), at, token)
}

// valid says whether a cookie was given to that address for that token, and not
// long ago.
func (c *cookies) valid(got []byte, at netip.Addr, token []byte, now time.Time) bool {
	period := now.Unix() / int64(cookieTime/time.Second)
	this, before := c.in(period, at, token), c.in(period-1, at, token)
	return hmac.Equal(got, this[:]) || hmac.Equal(got, before[:])
}

func (c *cookies) in(period int64, at netip.Addr, token []byte) Cookie {
	binary.BigEndian.PutUint64(c.buf[:], uint64(period))
	addr := at.As16()
	copy(c.buf[8:], addr[:])
	c.mac.Reset()
	c.mac.Write(c.buf[:])
	c.mac.Write(token)
	return Cookie(c.mac.Sum(c.sum[:0])[:8])
}
