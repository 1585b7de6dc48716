package client

import (
	"net/netip"
	"testing"

	"earshot/p2p"
	"earshot/p2p/portmap"
	"earshot/tray/chat"
	"earshot/tray/i18n"
)

// Every reason for which there is no port is said in the person's language.
func TestWhyNoPort(t *testing.T) {
	said := make(map[string]bool)
	for _, tag := range []string{"en", "zh-Hans"} {
		e := &Engine{p: i18n.New(tag)}
		for reason := range routerTexts {
			text := e.whyNoPort(p2p.Network{MappingReason: string(reason), MappingWhy: reason.Error()})
			if text == "" || said[text] || tag == "en" && text != reason.Error() {
				t.Errorf("%s, %s: %q", tag, reason, text)
			}
			said[text] = true
		}
	}
	e := &Engine{p: i18n.New("en")}
	if text := e.whyNoPort(p2p.Network{Mapping: "PCP"}); text != "" {
		t.Errorf("with a port it says %q", text)
	}
	if text := e.whyNoPort(p2p.Network{MappingReason: "new", MappingWhy: "As it is."}); text != "As it is." {
		t.Errorf("a new reason is %q", text)
	}
}

// What was found out about the router is in the diagnosis.
func TestRouterIsDescribed(t *testing.T) {
	var d chat.Diagnosis
	describe(&d, p2p.Network{MappingReason: string(portmap.ErrRefused), Router: netip.MustParseAddr("192.168.1.1")})
	if d.Router != "192.168.1.1" || d.MappingReason != "refused" || d.Mapping != "" {
		t.Errorf("%+v", d)
	}
}
