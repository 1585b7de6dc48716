package settings_test

import (
	"errors"
	"reflect"
	"testing"

	"earshot/tray/settings"
)

// FuzzDecode reads whatever may stand in settings.toml: it is refused by line,
// or is the same when it is written.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("server = 'b'\nread_receipts = 'off'\naway_after = -1\n[people.\"a.b\"]\nlogin = 'once'\n"))
	f.Add([]byte("people = {Ann = {login = true}}\n"))
	f.Add([]byte("servr = 'b'\n"))
	f.Add([]byte("quiet_from = 07:00:00\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		chosen, err := settings.Decode("s.toml", content)
		if err != nil {
			if wrong, ok := errors.AsType[*settings.FileError](err); !ok || wrong.Line < 1 {
				t.Fatalf("%+v", err)
			}
			return
		}
		again, err := settings.Decode("s.toml", settings.Encode(chosen))
		if people, ok := chosen["people"].(settings.People); ok && len(people) == 0 {
			delete(chosen, "people")
		}
		if err != nil || !reflect.DeepEqual(again, chosen) {
			t.Fatalf("%q\nis written as\n%s\nand read as %v, %v", content, settings.Encode(chosen), again, err)
		}
	})
}

// FuzzDecodePolicy reads whatever may stand in policy.toml.
func FuzzDecodePolicy(f *testing.F) {
	f.Add([]byte("managed_by = 'IT'\n[locked]\nserver = 'b'\n[recommended]\naway_after = 5\n"))
	f.Add([]byte("locked.server = 'b'\n"))
	f.Add([]byte("[locked]\npeople = {}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := settings.DecodePolicy("p.toml", content)
		if err != nil {
			if wrong, ok := errors.AsType[*settings.FileError](err); !ok || wrong.Line < 1 {
				t.Fatalf("%+v", err)
			}
			return
		}
		if _, err := settings.Open(new(file), p, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzSet sets whatever anybody types: it is refused in a sentence, or is there
// after a restart.
func FuzzSet(f *testing.F) {
	for _, s := range [][2]string{{"away_after", "5"}, {"sounds", "off"}, {"people.Ann.login", "once"}, {"people.dr. who.message", "off"},
		{"people.", "on"}, {"people.Ann", "on"}, {"quiet_from", "7:30"}, {"do_not_disturb", "2h"}, {"server", "earshot://a/#b"}, {"name", "a,b"}, {"start_at_login", "on"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		kept := new(file)
		l := open(t, kept, settings.Policy{})
		if err := l.Set(t.Context(), name, value); err != nil {
			if sentence, ok := settings.Explain(err, chinese); !ok || sentence == "" {
				t.Fatalf("%q = %q gives %v", name, value, err)
			}
			return
		}
		if again := open(t, kept, settings.Policy{}).Values(); !reflect.DeepEqual(again, l.Values()) {
			t.Fatalf("%q = %q is %+v, and after a restart %+v", name, value, l.Values(), again)
		}
		if err := l.Reset(t.Context(), name); err != nil {
			t.Fatalf("%q can be set and not reset: %v", name, err)
		}
		if got := *l.Values(); !reflect.DeepEqual(got, settings.Defaults()) {
			t.Fatalf("%q after its reset leaves %+v", name, got)
		}
	})
}
