//go:build !windows

package i18n

import (
	"cmp"
	"os"
	"strings"
)

// systemLanguages returns the environment's languages, best first, as gettext
// asks for them: the first locale that is set decides, and LANGUAGE refines
// it unless it is the C locale.
func systemLanguages() []string {
	locale := tag(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_MESSAGES"), os.Getenv("LANG")))
	if locale == "" {
		return nil
	}
	var wanted []string
	for value := range strings.SplitSeq(os.Getenv("LANGUAGE"), ":") {
		if value = tag(value); value != "" {
			wanted = append(wanted, value)
		}
	}
	return append(wanted, locale)
}

// tag turns a locale such as zh_CN.UTF-8@pinyin into its BCP 47 tag, and those
// that mean no language into nothing.
func tag(locale string) string {
	locale, _, _ = strings.Cut(locale, "@")
	locale, _, _ = strings.Cut(locale, ".")
	if locale == "C" || locale == "POSIX" {
		return ""
	}
	return strings.ReplaceAll(locale, "_", "-")
}
