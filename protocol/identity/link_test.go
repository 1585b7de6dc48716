package identity_test

import (
	"errors"
	"strings"
	"testing"

	"earshot/protocol/identity"
)

func TestLinks(t *testing.T) {
	id := public(t, public1).ID()
	for _, test := range []struct {
		text string
		want identity.Link
		// canonical is how the link is spelled; empty is text itself.
		canonical string
	}{
		{"earshot://chat.example/#" + spelling1, identity.Link{Host: "chat.example", Port: 13277}, ""},
		{"earshot://chat.example:4000/#" + spelling1, identity.Link{Host: "chat.example", Port: 4000}, ""},
		{"earshot://192.0.2.7/#" + spelling1, identity.Link{Host: "192.0.2.7", Port: 13277}, ""},
		{"earshot://[2001:db8::7]/#" + spelling1, identity.Link{Host: "2001:db8::7", Port: 13277}, ""},
		{"earshot://[2001:db8::7]:65535/#" + spelling1, identity.Link{Host: "2001:db8::7", Port: 65535}, ""},
		{"earshot://[fe80::1%25eth0]/#" + spelling1, identity.Link{Host: "fe80::1%eth0", Port: 13277}, ""},
		{"earshot://chat.example/?invite=K7QX2MFB#" + spelling1, identity.Link{Host: "chat.example", Port: 13277, Invite: "K7QX2MFB"}, ""},
		{"earshot://chat.example/?invite=a%26b+c#" + spelling1, identity.Link{Host: "chat.example", Port: 13277, Invite: "a&b c"}, ""},
		{"earshot://chat.example/?later=1&invite=x#" + spelling1, identity.Link{Host: "chat.example", Port: 13277, Invite: "x"},
			"earshot://chat.example/?invite=x#" + spelling1},
		{" EarShot://Chat.Example:13277#" + strings.ToLower(strings.ReplaceAll(spelling1, "-", "")) + "\n",
			identity.Link{Host: "chat.example", Port: 13277}, "earshot://chat.example/#" + spelling1},
		{"earshot://chat.example:/#" + spelling1, identity.Link{Host: "chat.example", Port: 13277}, "earshot://chat.example/#" + spelling1},
	} {
		test.want.Fingerprint = id
		got, err := identity.ParseLink(test.text)
		if err != nil || got != test.want {
			t.Errorf("%q reads as %+v, %v", test.text, got, err)
			continue
		}
		canonical := test.canonical
		if canonical == "" {
			canonical = test.text
		}
		if got.String() != canonical {
			t.Errorf("%q is spelled %q", test.text, got)
		}
		if !identity.IsLink(strings.TrimSpace(test.text)) {
			t.Errorf("%q is not meant to be a link", test.text)
		}
	}
}

func TestWhatIsNoLink(t *testing.T) {
	for text, says := range map[string]string{
		"":                                  "",
		"chat.example":                      "",
		"http://chat.example/#" + spelling1: "",
		"earshot:chat.example#" + spelling1: "",
		"earshot:///#" + spelling1:          "",
		"earshot://ann@chat.example/#" + spelling1:            "",
		"earshot://chat.example/a#" + spelling1:               "",
		"earshot://[::1/#" + spelling1:                        "",
		"earshot://chat example/#" + spelling1:                "",
		"earshot://chat.example:0/#" + spelling1:              "port",
		"earshot://chat.example:65536/#" + spelling1:          "port",
		"earshot://chat.example/":                             "fingerprint",
		"earshot://chat.example/#" + spelling1[:30]:           "fingerprint",
		"earshot://chat.example/#B" + spelling1[1:]:           "group 1",
		"earshot://chat.example/?invite=%zz#" + spelling1:     "question mark",
		"earshot://chat.example/?invite=a;b=c#" + spelling1:   "question mark",
		"earshot://chat.example/%23?invite=x#" + spelling1:    "",
		"earshot://chat.example\x00/?invite=x#" + spelling1:   "",
		"earshot://chat.example:13277x/?x=x#" + spelling1:     "",
		"earshot://chat.example/?invite=x" + "%23" + "AAAAAA": "fingerprint",
	} {
		link, err := identity.ParseLink(text)
		if !errors.Is(err, identity.ErrLink) || !strings.Contains(err.Error(), says) || link != (identity.Link{}) {
			t.Errorf("%q reads as %+v, %v", text, link, err)
		}
	}
	for _, text := range []string{"", "earshot", "earshot:/", "https://x", "xearshot://"} {
		if identity.IsLink(text) {
			t.Errorf("%q is meant to be a link", text)
		}
	}
}
