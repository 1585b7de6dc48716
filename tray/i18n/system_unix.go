//go:build !windows

package i18n

import (
	"os"
	"strings"
)

// systemLanguages returns the environment's languages, best first, in the
// order in which gettext asks for them.
func systemLanguages() []string {
	var wanted []string
	for _, name := range []string{"LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"} {
		for value := range strings.SplitSeq(os.Getenv(name), ":") {
			value, _, _ = strings.Cut(value, ".")
			value, _, _ = strings.Cut(value, "@")
			if value != "" && value != "C" && value != "POSIX" {
				wanted = append(wanted, strings.ReplaceAll(value, "_", "-"))
			}
		}
	}
	return wanted
}
