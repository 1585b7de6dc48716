package ui

import (
	"strings"
	"testing"
)

func TestLinks(t *testing.T) {
	for text, want := range map[string]string{
		"see https://example.com/a?b=c&d#e.":              "https://example.com/a?b=c&d#e",
		"(http://example.com/x_(y)) and more":             "http://example.com/x_(y)",
		"看https://例子.example/里。好":                         "",
		"看https://example.com/路":                          "https://example.com/",
		"看http://example.com，好":                           "http://example.com",
		"HTTPS://EXAMPLE.COM":                             "HTTPS://EXAMPLE.COM",
		"two http://a.example http://b.example!":          "http://a.example http://b.example",
		"http://a.example\u202egpj.exe":                   "http://a.example",
		"<b>http://a.example</b>":                         "http://a.example",
		`"http://a.example" 'http://b.example'`:           "http://a.example http://b.example",
		"file:///etc/passwd javascript:alert(1) mailto:a": "",
		"xhttp://a.example http:// http://?x shttp://b":   "",
		"http://http://a.example":                         "http://http://a.example",
		"":                                                "",
	} {
		var found []string
		for _, l := range Links(text) {
			found = append(found, text[l.From:l.To])
		}
		if got := strings.Join(found, " "); got != want {
			t.Errorf("%q links to %q, want %q", text, got, want)
		}
	}
}

func FuzzLinks(f *testing.F) {
	for _, seed := range []string{"a http://b.example/c, d", "好https://x.example/?好", "http://[::1]:80/)", "http://\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at := 0
		for _, l := range Links(text) {
			if l.From < at || l.To <= l.From || l.To > len(text) {
				t.Fatalf("%+v after %d of %q", l, at, text)
			}
			if link := strings.ToLower(text[l.From:l.To]); !strings.HasPrefix(link, "http") || strings.ContainsAny(link, " \n\"<>") {
				t.Fatalf("%q is a link", link)
			}
			at = l.To
		}
	})
}
