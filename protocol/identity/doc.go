// Package identity is who is who in the secure protocol: device keys and their
// certificates, the spellings that people compare, links to coordinators, and
// the proofs by which a device joins an account. It does no I/O.
package identity

import "errors"

// ErrIdentity is the family of everything that is wrong with a key, a
// certificate, or a spelling of one.
var ErrIdentity = errors.New("identity")
