package policy

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/windows/registry"

	"earshot/tray/settings"
)

const testKey = `Software\EarshotPolicyTest`

// fill makes the test's key, and takes it away at the end.
func fill(t *testing.T, under string, values map[string]any) {
	t.Helper()
	k, _, err := registry.CreateKey(registry.CURRENT_USER, testKey+under, registry.ALL_ACCESS)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	for name, value := range values {
		switch value := value.(type) {
		case string:
			err = k.SetStringValue(name, value)
		case uint32:
			err = k.SetDWordValue(name, value)
		case []byte:
			err = k.SetBinaryValue(name, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = registry.DeleteKey(registry.CURRENT_USER, testKey+under) })
}

func TestRegistry(t *testing.T) {
	if p, err := readRegistry(registry.CURRENT_USER, testKey, "HKCU"); err != nil || len(p.Locked) > 0 {
		t.Fatalf("no key gives %+v, %v", p, err)
	}
	fill(t, "", map[string]any{"managed_by": "IT of Example", "Read_Receipts": uint32(0), "away_after": ^uint32(0), "server": "chat.example.com"})
	fill(t, `\Recommended`, map[string]any{"language": "zh-Hans", "typing": "off"})
	p, err := readRegistry(registry.CURRENT_USER, testKey, `HKCU\Earshot`)
	if err != nil {
		t.Fatal(err)
	}
	if p.By != "IT of Example" || len(p.Locked) != 3 || p.Locked["read_receipts"].Value != false || p.Locked["away_after"].Value != -1 ||
		p.Locked["server"] != (settings.Rule{Value: "chat.example.com", From: `HKCU\Earshot\server`}) {
		t.Errorf("%+v", p)
	}
	if len(p.Recommended) != 2 || p.Recommended["typing"].Value != false || p.Recommended["language"].Value != "zh-Hans" {
		t.Errorf("%+v", p.Recommended)
	}
}

func TestWrongRegistryNamesItsPlace(t *testing.T) {
	for name, value := range map[string]any{"servr": "a", "away_after": "soon", "sounds": []byte{1}, "do_not_disturb": "2h"} {
		t.Run(name, func(t *testing.T) {
			fill(t, "", map[string]any{name: value})
			_, err := readRegistry(registry.CURRENT_USER, testKey, `HKCU\Earshot`)
			if wrong, ok := errors.AsType[*settings.PlaceError](err); !ok || wrong.Place != `HKCU\Earshot\`+name || !strings.HasSuffix(err.Error(), ".") {
				t.Errorf("%v", err)
			}
		})
	}
}
