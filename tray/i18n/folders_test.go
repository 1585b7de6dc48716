package i18n

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nicksnyder/go-i18n/v2/i18n"
)

func write(t *testing.T, folder, file, text string) {
	t.Helper()
	path := filepath.Join(folder, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A language that is dropped in is there; what it lacks, or has wrong, is in
// English, and files that can't be read harm nobody but themselves.
func TestALanguageIsDroppedIn(t *testing.T) {
	system, own := t.TempDir(), t.TempDir()
	write(t, system, "de/menu.toml", "MenuQuit = \"Beenden\"\nMenuOnline = \"{{.Name}} · da\"\n[MenuTooltipOnline]\none = \"{{.Count}} Mensch\"\nother = \"{{.Count}} Menschen\"\n")
	write(t, own, "de/own.toml", "MenuQuit = \"Schluss\"\nMenuOffline = \"{{.Nobody\"\n")
	write(t, own, "de/broken.toml", "MenuFind = [")
	write(t, own, "nothing else/menu.toml", "MenuQuit = \"?\"\n")
	write(t, own, "de/large.toml", "MenuFind = \""+strings.Repeat("x", maxFile)+"\"\n")
	write(t, own, "de/README", "not a catalogue")
	c := load([]string{system, filepath.Join(own, "missing"), own})
	tag := match(c.bundle.LanguageTags(), []string{"de-AT"})
	if tag.String() != "de" {
		t.Fatalf("de-AT gives %s", tag)
	}
	say := func(id string, data map[string]any) string {
		config := &i18n.LocalizeConfig{MessageID: id, TemplateData: data}
		if n, ok := data["Count"]; ok {
			config.PluralCount = n
		}
		localizer := i18n.NewLocalizer(c.bundle, tag.String())
		return localized(localizer, c.english, config)
	}
	for _, test := range []struct {
		id   string
		data map[string]any
		want string
	}{
		{"MenuQuit", nil, "Schluss"},
		{"MenuOnline", map[string]any{"Name": "Ann"}, "Ann · da"},
		{"MenuTooltipOnline", map[string]any{"Count": 1}, "1 Mensch"},
		{"MenuTooltipOnline", map[string]any{"Count": 2}, "2 Menschen"},
		{"MenuOffline", map[string]any{"Name": "Ann"}, New("en").T("MenuOffline", "Name", "Ann")},
		{"MenuFind", nil, New("en").T("MenuFind")},
	} {
		if got := say(test.id, test.data); got != test.want {
			t.Errorf("%s reads %q, want %q", test.id, got, test.want)
		}
	}
	var told []string
	for _, problem := range c.problems {
		told = append(told, problem.Error())
	}
	all := strings.Join(told, "\n")
	if len(told) != 3 || !strings.Contains(all, "broken.toml") || !strings.Contains(all, "nothing else") || !strings.Contains(all, "large.toml") {
		t.Errorf("the problems are:\n%s", all)
	}
}
