package notify

import (
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"

	"earshot/tray/i18n"
)

var hostile = `]]></text><x a="'&$(calc)` + "`\r\n\"@\x00\u202e"

// What Windows is given, for what a person may do about it.
func TestToastXML(t *testing.T) {
	english := i18n.New("en")
	const (
		head  = `<visual><binding template="ToastGeneric"><text>Ann &amp; Bo</text><text>hi</text></binding></visual>`
		open  = `<action content="Open" arguments="do=open&amp;peer=Ann+%26+Bo"></action>`
		read  = `<action content="Mark as read" arguments="do=read&amp;peer=Ann+%26+Bo" activationType="background"></action>`
		reply = `<input id="reply" type="text" placeHolderContent="Write a reply"></input>` +
			`<action content="Reply" arguments="do=reply&amp;peer=Ann+%26+Bo" activationType="background" hint-inputId="reply"></action>`
		sound = `<audio src="ms-winsoundevent:Notification.IM"></audio>`
	)
	plain := note{title: "Ann & Bo", body: "hi", peer: "Ann & Bo"}
	with := func(f func(n *note)) note { n := plain; f(&n); return n }
	for name, test := range map[string]struct {
		note note
		want string
	}{
		"a coming": {plain, `<toast launch="do=open&amp;peer=Ann+%26+Bo">` + head + `<audio></audio><actions>` + open + `</actions></toast>`},
		"a message": {with(func(n *note) { n.written = true }),
			`<toast launch="do=open&amp;peer=Ann+%26+Bo">` + head + sound + `<actions>` + reply + read + open + `</actions></toast>`},
		"an urgent one, muted": {with(func(n *note) { n.written, n.urgent, n.mute = true, true, true }),
			`<toast launch="do=open&amp;peer=Ann+%26+Bo" scenario="reminder">` + head + `<audio silent="true"></audio><actions>` + reply + read + open + `</actions></toast>`},
		"to everyone": {with(func(n *note) { n.written, n.peer = true, ",everyone" }),
			`<toast launch="do=open&amp;peer=%2Ceveryone">` + head + sound + `<actions>` +
				strings.ReplaceAll(read+open, "Ann+%26+Bo", "%2Ceveryone") + `</actions></toast>`},
		"about nobody": {with(func(n *note) { n.peer, n.urgent = "", true }), `<toast launch="do=open&amp;peer=">` + head + `<audio></audio></toast>`},
	} {
		got, err := toastXML(test.note, english)
		if err != nil || got != test.want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, test.want)
		}
	}
}

func TestToastAnswer(t *testing.T) {
	for arguments, want := range map[string]answer{
		arguments(openIt, "Ann & Bo"):  {reaction: openIt, peer: "Ann & Bo"},
		arguments(readIt, ",everyone"): {reaction: readIt, peer: ",everyone"},
		arguments(replyTo, hostile):    {reaction: replyTo, peer: hostile, text: "on my way"},
	} {
		if got, ok := toastAnswer(arguments, "on my way"); !ok || got != want {
			t.Errorf("%q is %+v, not %+v", arguments, got, want)
		}
	}
	for _, other := range []string{"", "action=dismiss", "do=open&peer=", "do=format&peer=Ann", "%zz", "do=open;peer=Ann"} {
		if got, ok := toastAnswer(other, ""); ok {
			t.Errorf("%q is %+v", other, got)
		}
	}
}

// The plain way on Windows may lead through a script, which expands what looks
// like a command in a text between @" and "@, and a document of CDATA sections.
func TestHarmless(t *testing.T) {
	for text, want := range map[string]string{
		"Lunch at 12?": "Lunch at 12?",
		"$(calc) ${x}": "＄(calc) ＄{x}",
		"a`nb":         "a｀nb",
		"x\n\"@\ncalc": "x\n\"＠\ncalc",
		"]]></text>":   "]]＞</text>",
	} {
		if got := harmless.Replace(text); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
}

// Whatever people are called and write, the document is one, says just that, and
// leads back to them.
func FuzzToast(f *testing.F) {
	f.Add("Ann", "hi", "Ann")
	f.Add(hostile, hostile, hostile)
	f.Fuzz(func(t *testing.T, title, body, peer string) {
		text, err := toastXML(note{title: title, body: body, peer: peer, written: true}, i18n.New("en"))
		if err != nil {
			t.Fatal(err)
		}
		var read toast
		if err := xml.Unmarshal([]byte(text), &read); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if len(read.Binding.Texts) != 2 || read.Binding.Texts[0] != printable(title) || read.Binding.Texts[1] != printable(body) {
			t.Errorf("%q and %q became %q", title, body, read.Binding.Texts)
		}
		a, ok := toastAnswer(read.Launch, "")
		if ok != (peer != "") || ok && a != (answer{reaction: openIt, peer: peer}) {
			t.Errorf("%q became %+v", peer, a)
		}
	})
}

// printable is a text as XML can hold it (XML 1.0, section 2.2).
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune:
			return r
		}
		return utf8.RuneError
	}, text)
}
