package model

import (
	"strings"
	"testing"

	"earshot/tray/chat"
	"earshot/tray/i18n"
)

// The words beside a name tell how somebody is reached, while that is known.
func TestWay(t *testing.T) {
	w := &World{Known: true, Status: chat.Status{Connection: chat.Online}}
	for _, c := range []struct {
		person chat.Person
		want   string
	}{
		{chat.Person{Route: chat.RouteDirect, Connected: true}, " · direct"},
		{chat.Person{Route: chat.RoutePunched, Connected: true}, " · direct"},
		{chat.Person{Route: chat.RouteRelayed, Connected: true}, " · through the coordinator"},
		{chat.Person{Route: chat.RouteRelayed}, " · encrypted"}, // it was once
		{chat.Person{Route: chat.RouteDirect, Connected: true, Unreachable: "it broke"}, " · not reached at the moment"},
	} {
		c.person.Online, c.person.Secure = true, true
		if text, _ := presence(w, c.person, i18n.New("en").T); !strings.HasSuffix(text, c.want) {
			t.Errorf("%+v reads %q", c.person, text)
		}
	}
}
