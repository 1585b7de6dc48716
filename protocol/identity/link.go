package identity

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// DefaultPort is a coordinator's port if a link names none.
const DefaultPort = 13277

// Link is the address of a coordinator with its fingerprint, and perhaps a
// token that lets one device in:
//
//	earshot://HOST[:PORT]/[?invite=TOKEN]#FINGERPRINT
type Link struct {
	Host        string // a name, or an IP address without brackets
	Port        uint16
	Fingerprint ID
	Invite      string // empty for none
}

// ErrLink is a text that is no link.
var ErrLink = fmt.Errorf("%w: this is not the link of a coordinator, which looks like earshot://HOST/#FINGERPRINT", ErrIdentity)

// scheme is how a link begins.
const scheme = "earshot://"

// IsLink says whether a text is meant to be a link.
func IsLink(text string) bool {
	return len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme)
}

// ParseLink reads a link. The case of the host's letters doesn't count, and
// what a later version may put behind the question mark is left aside.
func ParseLink(text string) (Link, error) {
	text = strings.TrimSpace(text)
	u, err := url.Parse(text)
	if err != nil || !IsLink(text) || u.User != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" {
		return Link{}, ErrLink
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Link{}, fmt.Errorf("%w: what is behind its question mark can't be read", ErrLink)
	}
	l := Link{Host: strings.ToLower(u.Hostname()), Port: DefaultPort, Invite: query.Get("invite")}
	if text := u.Port(); text != "" {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return Link{}, fmt.Errorf("%w: %q is no port", ErrLink, text)
		}
		l.Port = uint16(port)
	}
	if l.Fingerprint, err = ParseID(u.Fragment); err != nil {
		return Link{}, fmt.Errorf("%w: its fingerprint: %w", ErrLink, err)
	}
	return l, nil
}

// String spells the link. The default port is left out.
func (l Link) String() string {
	host := l.Host
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		host = "[" + host + "]"
	}
	if l.Port != DefaultPort && l.Port != 0 {
		host += ":" + strconv.Itoa(int(l.Port))
	}
	u := url.URL{Scheme: "earshot", Host: host, Path: "/", Fragment: l.Fingerprint.String()}
	if l.Invite != "" {
		u.RawQuery = url.Values{"invite": {l.Invite}}.Encode()
	}
	return u.String()
}
