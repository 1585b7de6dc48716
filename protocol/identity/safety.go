package identity

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Party is one side of a safety number: an account by its name key
// (classic.NameKey), and the keys of all its devices in any order.
type Party struct {
	Account string
	Devices []PublicKey
}

const safetyRounds = 5200

// SafetyNumber is what two people compare, by voice or eye, to know that nobody
// is between them: 60 digits in twelve groups, the same on both sides. It
// changes when either of them gains or loses a device.
//
// Each party's half is 30 digits of SHA-512, iterated so that looking for a
// party whose half looks alike costs more; the smaller half comes first.
func SafetyNumber(a, b Party) string {
	halves := []string{a.half(), b.half()}
	slices.Sort(halves)
	digits := halves[0] + halves[1]
	var groups []string
	for g := range slices.Chunk([]byte(digits), 5) {
		groups = append(groups, string(g))
	}
	return strings.Join(groups, " ")
}

func (p Party) half() string {
	keys := slices.SortedFunc(slices.Values(p.Devices), func(a, b PublicKey) int { return bytes.Compare(a[:], b[:]) })
	keys = slices.Compact(keys)
	fixed := []byte("earshot safety number 1\x00" + p.Account + "\x00")
	for _, k := range keys {
		fixed = append(fixed, k[:]...)
	}
	sum := sha512.Sum512(fixed)
	for range safetyRounds {
		sum = sha512.Sum512(append(sum[:], fixed...))
	}
	var digits strings.Builder
	for chunk := range slices.Chunk(sum[:30], 5) {
		n := binary.BigEndian.Uint64(append([]byte{0, 0, 0}, chunk...))
		fmt.Fprintf(&digits, "%05d", n%100_000)
	}
	return digits.String()
}
