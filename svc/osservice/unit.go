package osservice

import (
	_ "embed"
	"strings"
)

// unit is the one source of the systemd unit. The placeholders are those of the
// library that writes it at an installation.
//
//go:embed earshotd.service
var unit string

// Unit returns the systemd unit for a program at a path with a command line of
// arguments, as Install writes it and packages have it. The words hold nothing
// that systemd would read as its own language.
func Unit(path string, arguments ...string) string {
	for i, word := range arguments {
		arguments[i] = `"` + strings.ReplaceAll(word, `"`, `\"`) + `"`
	}
	return strings.NewReplacer(
		"{{Description}}", description,
		"{{Path | cmdEscape}}", strings.ReplaceAll(path, " ", `\x20`),
		"{{range Arguments}} {{. | cmd}}{{end}}", strings.Join(append([]string{""}, arguments...), " "),
	).Replace(unit)
}
