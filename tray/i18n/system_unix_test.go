//go:build !windows

package i18n

import "testing"

func TestEnvironmentChoosesLanguage(t *testing.T) {
	for _, test := range []struct {
		name                              string
		language, lcAll, lcMessages, lang string
		want                              string
	}{
		{name: "nothing", want: "en"},
		{name: "C", lang: "C", want: "en"},
		{name: "C.UTF-8", lang: "C.UTF-8", want: "en"},
		{name: "POSIX", lang: "POSIX", want: "en"},
		{name: "Chinese", lang: "zh_CN.UTF-8", want: "zh-Hans"},
		{name: "Chinese GB18030 with a modifier", lang: "zh_CN.GB18030@pinyin", want: "zh-Hans"},
		{name: "German", lang: "de_DE.UTF-8", want: "en"},
		{name: "LC_ALL is above LANG", lcAll: "zh_CN.UTF-8", lang: "en_US.UTF-8", want: "zh-Hans"},
		{name: "LC_ALL=C is above LANG", lcAll: "C", lang: "zh_CN.UTF-8", want: "en"},
		{name: "LC_MESSAGES is above LANG", lcMessages: "en_GB.UTF-8", lang: "zh_CN.UTF-8", want: "en"},
		{name: "a list, the first that there is", language: "de:zh_CN:en", lang: "de_DE.UTF-8", want: "zh-Hans"},
		{name: "a list, English first", language: "en:zh_CN", lang: "zh_CN.UTF-8", want: "en"},
		{name: "a list doesn't count in C", language: "zh_CN", lang: "C", want: "en"},
		{name: "nonsense", lang: "!!", want: "en"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("LANGUAGE", test.language)
			t.Setenv("LC_ALL", test.lcAll)
			t.Setenv("LC_MESSAGES", test.lcMessages)
			t.Setenv("LANG", test.lang)
			for _, setting := range []string{"", "auto"} {
				if got := New(setting).Tag().String(); got != test.want {
					t.Errorf("%q gives %s, want %s", setting, got, test.want)
				}
			}
		})
	}
}
