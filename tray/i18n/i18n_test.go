package i18n

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// catalogue returns each message of a language with its forms by plural; a
// message without plurals has only "other".
func catalogue(t *testing.T, tag string) map[string]map[string]string {
	t.Helper()
	messages := make(map[string]map[string]string)
	files, err := fs.Glob(locales, "locales/"+tag+"/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no catalogue: %v", tag, err)
	}
	for _, file := range files {
		b, err := locales.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var entries map[string]any
		if err := toml.Unmarshal(b, &entries); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for id, entry := range entries {
			if messages[id] != nil {
				t.Errorf("%s: %s is in two files", tag, id)
			}
			forms := make(map[string]string)
			switch entry := entry.(type) {
			case string:
				forms["other"] = entry
			case map[string]any:
				for form, text := range entry {
					forms[form], _ = text.(string)
				}
			}
			messages[id] = forms
		}
	}
	return messages
}

func languages(t *testing.T) (tags []string) {
	t.Helper()
	entries, err := locales.ReadDir("locales")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		tags = append(tags, entry.Name())
	}
	return tags
}

var variable = regexp.MustCompile(`\{\{\s*\.(\w+)`)

func variables(text string) []string {
	var names []string
	for _, found := range variable.FindAllStringSubmatch(text, -1) {
		names = append(names, found[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestLanguagesSayTheSame(t *testing.T) {
	english := catalogue(t, "en")
	for _, tag := range languages(t) {
		texts := catalogue(t, tag)
		for id := range english {
			if texts[id] == nil {
				t.Errorf("%s has no %s", tag, id)
			}
		}
		for id, forms := range texts {
			if english[id] == nil {
				t.Errorf("%s has %s, which English has not", tag, id)
				continue
			}
			want := variables(english[id]["other"])
			for form, text := range forms {
				if strings.TrimSpace(text) == "" {
					t.Errorf("%s: %s.%s is empty", tag, id, form)
				}
				if got := variables(text); !slices.Equal(got, want) {
					t.Errorf("%s: %s.%s tells %v, English tells %v", tag, id, form, got, want)
				}
			}
			if forms["other"] == "" {
				t.Errorf("%s: %s has no form \"other\"", tag, id)
			}
		}
	}
}

var (
	anID  = regexp.MustCompile(`"((?:Cli|Engine|Menu|Notify|Popup|Settings|Doctor|History|Admx)[A-Z]\w*)"`)
	aCall = regexp.MustCompile(`\.T\("(\w+)"`)
)

// sources calls visit with each Go file of the client, and of what installs it, that
// is no test.
func sources(t *testing.T, visit func(file, text string)) {
	t.Helper()
	for _, root := range []string{"..", "../../installer"} {
		sourcesBelow(t, root, visit)
	}
}

func sourcesBelow(t *testing.T, root string, visit func(file, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, ".html") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		b, err := os.ReadFile(file)
		visit(file, string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// unnumbered is the ID of a series such as the twelve months, whose numbers
// the source adds.
func unnumbered(id string) string { return strings.TrimRight(id, "0123456789") }

func TestEveryTextIsShownAndThere(t *testing.T) {
	texts := make(map[string]bool)
	for id := range catalogue(t, "en") {
		texts[unnumbered(id)] = true
	}
	unused := maps.Clone(texts)
	calls := 0
	sources(t, func(file, text string) {
		for _, found := range append(anID.FindAllStringSubmatch(text, -1), aCall.FindAllStringSubmatch(text, -1)...) {
			id := unnumbered(found[1])
			delete(unused, id)
			calls++
			if !texts[id] {
				t.Errorf("%s shows %s, which no catalogue has", file, found[1])
			}
		}
	})
	if calls < 50 {
		t.Errorf("only %d uses of texts were found", calls)
	}
	for id := range unused {
		t.Errorf("nobody shows %s", id)
	}
}

func TestPlurals(t *testing.T) {
	for _, test := range []struct {
		tag   string
		count int
		want  string
	}{
		{"en", 0, "Earshot – 0 people online"},
		{"en", 1, "Earshot – 1 person online"},
		{"en", 2, "Earshot – 2 people online"},
		{"en", 21, "Earshot – 21 people online"},
		{"zh-Hans", 0, "Earshot – 0 人在线"},
		{"zh-Hans", 1, "Earshot – 1 人在线"},
		{"zh-Hans", 2, "Earshot – 2 人在线"},
	} {
		if got := New(test.tag).T("MenuTooltipOnline", "Count", test.count); got != test.want {
			t.Errorf("%s, %d: %q, want %q", test.tag, test.count, got, test.want)
		}
	}
	if got := New("en").T("NoSuchText", "Name", "Ann"); got != "NoSuchText" {
		t.Errorf("an unknown ID reads %q", got)
	}
}

func TestSettingChoosesLanguage(t *testing.T) {
	for setting, want := range map[string]string{
		"en": "en", "en-GB": "en", "zh-Hans": "zh-Hans", "zh-Hans-CN": "zh-Hans", "zh-CN": "zh-Hans", "zh": "zh-Hans",
		"de": "en", "not a language": "en",
	} {
		if got := New(setting).Tag().String(); got != want {
			t.Errorf("%q gives %s, want %s", setting, got, want)
		}
	}
}

func TestSwitch(t *testing.T) {
	p := New("en")
	english := p.T("MenuQuit")
	p.Switch("zh-CN")
	if p.Tag().String() != "zh-Hans" || p.T("MenuQuit") == english {
		t.Errorf("it still says %q in %s", p.T("MenuQuit"), p.Tag())
	}
}

func BenchmarkNew(b *testing.B) {
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			New("zh-Hans")
		}
	})
	b.Run("parsing", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			load(nil)
		}
	})
}
