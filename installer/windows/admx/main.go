// Command admx writes the administrative template of the client's policies, for the
// group policy editor: earshot.admx, and its texts in English and Chinese. It is made
// from the table of settings, so it has all of them, and they read as on their page.
//
//	go run ./installer/windows/admx -out DIR
package main

import (
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"earshot/tray/i18n"
	"earshot/tray/settings"
)

func main() {
	out := flag.String("out", "PolicyDefinitions", "where the files go")
	flag.Parse()
	if err := write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "admx:", err)
		os.Exit(1)
	}
}

// languages are those of the texts, as Windows calls them.
var languages = map[string]string{"en-US": "en", "zh-CN": "zh-Hans"}

func write(out string) error {
	files := map[string]any{"earshot.admx": template()}
	for folder, tag := range languages {
		files[filepath.Join(folder, "earshot.adml")] = texts(i18n.New(tag))
	}
	for name, document := range files {
		content, err := xml.MarshalIndent(document, "", "  ")
		if err != nil {
			return err
		}
		file := filepath.Join(out, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, append([]byte(xml.Header), append(content, '\n')...), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// The keys of the registry, as package policy reads them.
const (
	lockedKey      = `Software\Policies\Earshot`
	recommendedKey = lockedKey + `\Recommended`
)

// allowed calls f for each setting that a policy can have: those that are locked
// first, then those that are recommended, whose names begin with R_.
func allowed(f func(s *settings.Setting, name, key string)) {
	all := settings.All()
	for _, locked := range []bool{true, false} {
		for i := range all {
			s := &all[i]
			switch {
			case settings.Permit(s.Name, locked) != nil:
			case locked:
				f(s, s.Name, lockedKey)
			default:
				f(s, "R_"+s.Name, recommendedKey)
			}
		}
	}
}
