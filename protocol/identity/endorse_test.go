package identity_test

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"earshot/protocol/identity"
)

func TestEndorsements(t *testing.T) {
	k, device := key8410(t), public(t, public1)
	signature := k.Endorse("张三", device)
	const want = "510c26ba87dca97c8adb87985972a02acfd0251df414652fcc39ccfbd714092e" +
		"66a3fed9f1fea97c2221981c6a3075aec5bdae8571b315242d3279c209f01c00"
	if got := hex.EncodeToString(signature); got != want {
		t.Errorf("the endorsement is\n%s, expected\n%s", got, want)
	}
	flipped := slices.Clone(signature)
	flipped[0] ^= 1
	for _, test := range []struct {
		name      string
		by        identity.PublicKey
		account   string
		device    identity.PublicKey
		signature []byte
		valid     bool
	}{
		{"right", k.Public(), "张三", device, signature, true},
		{"another signer", device, "张三", device, signature, false},
		{"another account", k.Public(), "李四", device, signature, false},
		{"no account", k.Public(), "", device, signature, false},
		{"another device", k.Public(), "张三", public(t, public2), signature, false},
		{"a bit flipped", k.Public(), "张三", device, flipped, false},
		{"no signature", k.Public(), "张三", device, nil, false},
		{"a cut signature", k.Public(), "张三", device, signature[:63], false},
		{"a tail", k.Public(), "张三", device, append(slices.Clone(signature), 0), false},
		{"a signature of a bare key", k.Public(), "", identity.PublicKey{}, signature, false},
	} {
		err := identity.VerifyEndorsement(test.by, test.account, test.device, test.signature)
		if test.valid != (err == nil) || err != nil && !errors.Is(err, identity.ErrEndorsement) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestJoinCodes(t *testing.T) {
	code := identity.JoinCode{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	const spelling = "AEBA-GBAF-AYDQ-QCIK"
	if code.String() != spelling {
		t.Errorf("spelled %s", code)
	}
	for _, text := range []string{spelling, strings.ToLower(spelling), "aeba gbaf aydq qcik", "AE8AG8AFAYDQQC1K", " AEBA-GBAF\u2011AYDQ-QCIK\n"} {
		if got, err := identity.ParseJoinCode(text); err != nil || got != code {
			t.Errorf("%q reads as %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "AEBA", spelling + "A", spelling[1:], "AEBA-GBAF-AYDQ-QCI9", "AEBA-GBAF-AYDQ-QCI=", "AEBA-GBAF-AYDQ-QCIÄ"} {
		if _, err := identity.ParseJoinCode(text); !errors.Is(err, identity.ErrJoinCode) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if one, other := identity.NewJoinCode(), identity.NewJoinCode(); one == other {
		t.Error("two new codes are one")
	}
}

func TestJoinProofs(t *testing.T) {
	code, device := identity.JoinCode{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, public(t, public8410)
	proof := code.Proof("张三", device)
	if got := hex.EncodeToString(proof); got != "1d2727e42404e0e28d962d64586d9406f9e2d380fec1bfb1f194a506c3cd2417" {
		t.Errorf("the proof is %s", got)
	}
	for _, test := range []struct {
		name    string
		code    identity.JoinCode
		account string
		device  identity.PublicKey
		proof   []byte
		valid   bool
	}{
		{"right", code, "张三", device, proof, true},
		{"another code", identity.JoinCode{1}, "张三", device, proof, false},
		{"another account", code, "李四", device, proof, false},
		// A coordinator that carries the proof can't use it for its own device.
		{"another device", code, "张三", public(t, public1), proof, false},
		{"no proof", code, "张三", device, nil, false},
		{"a cut proof", code, "张三", device, proof[:31], false},
	} {
		if got := test.code.Verify(test.account, test.device, test.proof); got != test.valid {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestSafetyNumbers(t *testing.T) {
	ann := identity.Party{Account: "ann", Devices: []identity.PublicKey{public(t, public8410)}}
	bo := identity.Party{Account: "bo", Devices: []identity.PublicKey{public(t, public1), public(t, public2)}}
	const want = "02982 13489 81177 15229 39767 42738 34820 99976 19222 81000 21478 57379"
	reversed := identity.Party{Account: "bo", Devices: []identity.PublicKey{public(t, public2), public(t, public1)}}
	twice := identity.Party{Account: "bo", Devices: append(reversed.Devices, public(t, public1))}
	for name, got := range map[string]string{
		"one side":            identity.SafetyNumber(ann, bo),
		"the other":           identity.SafetyNumber(bo, ann),
		"in another order":    identity.SafetyNumber(ann, reversed),
		"with a device twice": identity.SafetyNumber(twice, ann),
	} {
		if got != want {
			t.Errorf("%s sees %s, expected %s", name, got, want)
		}
	}
	if bo.Devices[0] != public(t, public1) {
		t.Error("the caller's devices were put in another order")
	}
	for name, other := range map[string]identity.Party{
		"a device less":   {Account: "bo", Devices: bo.Devices[:1]},
		"a device more":   {Account: "bo", Devices: append(slices.Clone(bo.Devices), public(t, public8410))},
		"another device":  {Account: "bo", Devices: []identity.PublicKey{public(t, public1), public(t, public8410)}},
		"another account": {Account: "bob", Devices: bo.Devices},
		"no device":       {Account: "bo"},
	} {
		got := identity.SafetyNumber(ann, other)
		// Ann's half stays, so somebody sees whose devices have changed.
		if got == want || !strings.Contains(got, ownHalf(ann, bo)) {
			t.Errorf("%s gives %s", name, got)
		}
	}
}

// ownHalf is a's half of the number: the one that stays when b changes.
func ownHalf(a, b identity.Party) string {
	number := identity.SafetyNumber(a, b)
	half := len(number) / 2
	if strings.Contains(identity.SafetyNumber(a, identity.Party{}), number[:half]) {
		return number[:half]
	}
	return number[half+1:]
}
