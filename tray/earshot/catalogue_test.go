package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"earshot/tray/i18n"

	"github.com/pelletier/go-toml/v2"
)

func printer(language string) *i18n.Printer { return i18n.New(language) }

// Every text that the engine and the commands show is in both languages, and
// none is there that nobody shows.
func TestEveryTextIsThere(t *testing.T) {
	used := make(map[string]bool)
	for _, pattern := range []string{"*.go", "../client/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range regexp.MustCompile(`"((?:Cli|Engine)[A-Z]\w*)"`).FindAllStringSubmatch(string(b), -1) {
				used[id[1]] = true
			}
		}
	}
	for _, language := range []string{"en", "zh-Hans"} {
		texts := make(map[string]any)
		for _, part := range []string{"engine", "cli"} {
			b, err := os.ReadFile(filepath.Join("..", "i18n", "locales", language, part+".toml"))
			if err != nil {
				t.Fatal(err)
			}
			if err := toml.Unmarshal(b, &texts); err != nil {
				t.Fatal(err)
			}
		}
		for id := range used {
			if _, ok := texts[id]; !ok {
				t.Errorf("%s: no text %s", language, id)
			}
		}
		for id := range texts {
			if !used[id] {
				t.Errorf("%s: nobody shows %s", language, id)
			}
		}
	}
}
