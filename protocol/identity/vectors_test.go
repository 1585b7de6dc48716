package identity_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"earshot/protocol/identity"
)

// The keys of the vectors: RFC 8410, 10.1, and RFC 8032, 7.1, tests 1 and 2.
// What is made from them was worked out by another implementation (Python's
// hashlib and hmac, and OpenSSL for the signature).
const (
	pem8410 = "-----BEGIN PRIVATE KEY-----\n" +
		"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n" +
		"-----END PRIVATE KEY-----\n"
	public8410 = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
	public1    = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	public2    = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

	spelling8410 = "UHURKYCG-U4BH2ZCA-M25HZHK6-EZM3QD2T-LW6E5IV-WCVU5BJ-77DOBUZ-STNAPQK"
	spelling1    = "A3R73D6M-2FG5WBK3-2ZKV66MW-HW3BLWN6-WIYRGSU-7DBZ23W-IVPY4GF-3ZF6UQ3"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func public(t testing.TB, text string) identity.PublicKey {
	t.Helper()
	k, err := identity.ParsePublicKey(unhex(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func key8410(t testing.TB) identity.Key {
	t.Helper()
	k, err := identity.ParseKey([]byte(pem8410))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestIDSpellings(t *testing.T) {
	for _, test := range []struct {
		id       identity.ID
		spelling string
	}{
		{public(t, public8410).ID(), spelling8410},
		{public(t, public1).ID(), spelling1},
		{public(t, public2).ID(), "32ZN5U4H-5YJX44DJ-TAQW3PYL-NF7NNMUG-DEJ3X77-ROUYKBC-CPH7TYW-AEYFYA6"},
		{identity.ID{}, "AAAAAAAA-AAAAAAAA-AAAAAAAA-AAAAAAAA-AAAAAAA-AAAAAAA-AAAAAAA-AAAAAAA"},
		{identity.ID([]byte(strings.Repeat("\xff", 32))), "7777777H-7777777H-7777777H-7777777H-777777G-777777G-777777G-77777QE"},
	} {
		if got := test.id.String(); got != test.spelling {
			t.Errorf("%x is spelled\n%s, expected\n%s", test.id[:], got, test.spelling)
		}
		if got, err := identity.ParseID(test.spelling); err != nil || got != test.id {
			t.Errorf("%s reads as %x, %v", test.spelling, got[:], err)
		}
		if short := test.id.Short(); !strings.HasPrefix(test.spelling, short+"-") || strings.Count(short, "-") != 1 {
			t.Errorf("%s is %s for short", test.spelling, short)
		}
	}
	if got := public(t, public1).String(); got != spelling1 {
		t.Errorf("a key prints as %s", got)
	}
}

// TestIDIsOfTheKeyInfo holds the ID against X.509's own encoding of the key.
func TestIDIsOfTheKeyInfo(t *testing.T) {
	k := key8410(t)
	certificate, err := x509.ParseCertificate(k.Certificate().Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if k.Public().ID() != sha256.Sum256(certificate.RawSubjectPublicKeyInfo) || identity.Fingerprint(certificate) != k.Public().ID() {
		t.Errorf("the ID %v is not the hash of the key's SubjectPublicKeyInfo", k.Public().ID())
	}
}

func TestIDsAreReadLeniently(t *testing.T) {
	want := public(t, public1).ID()
	for _, spelling := range []string{
		strings.ToLower(spelling1),
		strings.ReplaceAll(spelling1, "-", ""),
		strings.ReplaceAll(spelling1, "-", " "),
		strings.ReplaceAll(spelling1, "-", "\r\n"),
		strings.ReplaceAll(spelling1, "-", "\u2013"), // a word processor's dash
		strings.ReplaceAll(spelling1, "-", "\u00a0"), // a no-break space
		"\t" + strings.ReplaceAll(spelling1, "B", "8") + "  ",
		strings.ReplaceAll(spelling1, "I", "1"),
		strings.Join(strings.Split(spelling1, ""), " "),
	} {
		if got, err := identity.ParseID(spelling); err != nil || got != want {
			t.Errorf("%q reads as %v, %v", spelling, got, err)
		}
	}
	other, err := identity.ParseID(spelling8410)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := identity.ParseID(strings.ReplaceAll(spelling8410, "O", "0")); err != nil || got != other {
		t.Errorf("with zeroes for the letter O: %v, %v", got, err)
	}
}

// TestEveryMistypedCharacterIsFound tries each other character at each place,
// and says that the mistake is named where it is.
func TestEveryMistypedCharacterIsFound(t *testing.T) {
	for i, was := range []byte(spelling8410) {
		if was == '-' {
			continue
		}
		for _, is := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") {
			if is == was {
				continue
			}
			typed := spelling8410[:i] + string(is) + spelling8410[i+1:]
			_, err := identity.ParseID(typed)
			group := fmt.Sprintf("group %d", strings.Count(spelling8410[:i], "-")+1)
			if !errors.Is(err, identity.ErrID) || !errors.Is(err, identity.ErrIdentity) || !strings.Contains(err.Error(), group) {
				t.Fatalf("%s, mistyped at %d, gives %v", typed, i, err)
			}
		}
	}
}

// TestSwappedNeighboursAreFound: all but one pair of characters in a thousand.
func TestSwappedNeighboursAreFound(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	tried, missed := 0, 0
	for range 200 {
		var id identity.ID
		for i := range id {
			id[i] = byte(random.Uint32())
		}
		spelled := []byte(id.String())
		for i := range len(spelled) - 1 {
			a, b := spelled[i], spelled[i+1]
			if a == b || a == '-' || b == '-' {
				continue
			}
			swapped := slices.Clone(spelled)
			swapped[i], swapped[i+1] = b, a
			tried++
			if _, err := identity.ParseID(string(swapped)); err == nil {
				missed++
			}
		}
	}
	if missed*200 > tried {
		t.Errorf("%d of %d swaps of neighbours were missed", missed, tried)
	}
}

func TestWhatIsNoID(t *testing.T) {
	for _, test := range []struct{ text, says string }{
		{"", "0 characters"},
		{"K7QX2MFB", "8 characters"},
		{spelling1[:len(spelling1)-1], "59 characters"},
		{spelling1 + "A", "61 characters"},
		{strings.Replace(spelling1, "A", "9", 1), `'9'`},
		{strings.Replace(spelling1, "A", "Ä", 1), `'Ä'`},
		{strings.Replace(spelling1, "A", "\xff", 1), `'�'`},
		{strings.Replace(spelling1, "A", "=", 1), `'='`},
		// The last four bits of 52 characters are no part of 32 bytes; here
		// one of them is set, with the check character that goes with it.
		{"AAAAAAAA-AAAAAAAA-AAAAAAAA-AAAAAAAA-AAAAAAA-AAAAAAA-AAAAAAA-AAAAAB6", "group 8"},
	} {
		id, err := identity.ParseID(test.text)
		if !errors.Is(err, identity.ErrID) || !strings.Contains(err.Error(), test.says) || id != (identity.ID{}) {
			t.Errorf("%q reads as %v, %v", test.text, id, err)
		}
	}
}

func TestKeysInPEM(t *testing.T) {
	k := key8410(t)
	if got := k.Public(); got != public(t, public8410) {
		t.Errorf("the key of RFC 8410 has the public key %x", got[:])
	}
	if got := string(k.MarshalPEM()); got != pem8410 {
		t.Errorf("it is written as\n%s", got)
	}
	fresh := identity.NewKey()
	again, err := identity.ParseKey(fresh.MarshalPEM())
	if err != nil || again.Public() != fresh.Public() {
		t.Errorf("a new key is read again as %v, %v", again, err)
	}
	if identity.NewKey().Public() == fresh.Public() {
		t.Error("two new keys are one")
	}
	cut := "-----BEGIN PRIVATE KEY-----\n" +
		"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgxcrgmkuAVXSk0aUn\n" +
		"-----END PRIVATE KEY-----\n"
	for name, text := range map[string]string{
		"empty":        "",
		"text":         "hello",
		"a cut file":   pem8410[:60],
		"another type": strings.ReplaceAll(pem8410, "PRIVATE", "PUBLIC"),
		"cut content":  cut,
		"two keys":     pem8410 + pem8410,
		"a tail":       pem8410 + "x",
	} {
		if k, err := identity.ParseKey([]byte(text)); !errors.Is(err, identity.ErrKey) || !k.IsZero() {
			t.Errorf("%s: %v, %v", name, k, err)
		}
	}
	for _, n := range []int{0, 31, 33} {
		if _, err := identity.ParsePublicKey(make([]byte, n)); !errors.Is(err, identity.ErrKey) {
			t.Errorf("%d bytes are a public key: %v", n, err)
		}
	}
}

// TestSecretKeysDontPrint: neither alone nor inside of something that is logged.
func TestSecretKeysDontPrint(t *testing.T) {
	k := key8410(t)
	seed := unhex(t, "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842")
	holder := struct {
		name string
		key  identity.Key
	}{"holder", k}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
		for _, value := range []any{k, &k, holder, &holder, []identity.Key{k}, map[string]identity.Key{"a": k}} {
			printed := strings.ToLower(fmt.Sprintf(verb, value))
			for _, spelled := range []string{
				fmt.Sprintf("%x", seed[:4]), fmt.Sprint(seed[:3])[1:8], fmt.Sprintf("%#v", seed[:3])[7:20], strings.ToLower(string(seed[:4])),
			} {
				if strings.Contains(printed, spelled) {
					t.Errorf("%s of %T prints the secret: %s", verb, value, printed)
				}
			}
		}
	}
	if got := fmt.Sprint(identity.Key{}); got != "no secret key" {
		t.Errorf("the zero key prints as %q", got)
	}
}
