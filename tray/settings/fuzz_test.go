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
