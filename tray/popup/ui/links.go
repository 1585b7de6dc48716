package ui

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Link is a part of a text that leads to the web, in bytes.
type Link struct{ From, To int }

// Links finds the addresses of web pages in a text that comes from a stranger:
// "http://" or "https://" and what follows, up to white space, a control
// character, a quotation mark or angle bracket, or the first Chinese, Japanese
// or Korean character or punctuation mark, for those are written without spaces
// between. Marks that end a sentence, and a bracket that was not opened within,
// don't belong to it. What is shown is what is opened, so a link can't pose as
// another one.
func Links(text string) (links []Link) {
	for at := 0; ; {
		from := next(text, at)
		if from < 0 {
			return links
		}
		to := from + end(text[from:])
		if address, err := url.Parse(text[from:to]); err == nil && address.Hostname() != "" {
			links = append(links, Link{from, to})
		}
		at = max(to, from+len("http://"))
	}
}

// next returns where the next address may begin, or -1.
func next(text string, at int) int {
	for at < len(text) {
		i := strings.Index(text[at:], "://")
		if i < 0 {
			return -1
		}
		for _, scheme := range []string{"https", "http"} {
			from := at + i - len(scheme)
			if from < at || !strings.EqualFold(text[from:at+i], scheme) {
				continue
			}
			if before, _ := utf8.DecodeLastRuneInString(text[:from]); unicode.IsDigit(before) || unicode.IsLetter(before) && before < 0x80 {
				continue // another scheme that ends like it
			}
			return from
		}
		at += i + len("://")
	}
	return -1
}

// end returns the length of the address with which a text begins.
func end(text string) int {
	n := len(text)
	for i, r := range text {
		if foreign := r >= 0x2e80 && r < 0xa000 || r >= 0xac00 && r < 0xd7b0 || r >= 0xff00 && r < 0xfff0 || r >= 0x2010 && r < 0x2030; foreign ||
			unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) || strings.ContainsRune(`"<>`+"`", r) {
			n = i
			break
		}
	}
	for n > 0 {
		switch last := text[n-1]; {
		case strings.IndexByte(".,;:!?'*_~|", last) >= 0:
		case last == ')' && strings.Count(text[:n], ")") > strings.Count(text[:n], "("):
		case last == ']' && strings.Count(text[:n], "]") > strings.Count(text[:n], "["):
		default:
			return n
		}
		n--
	}
	return n
}
