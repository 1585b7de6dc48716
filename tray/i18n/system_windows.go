package i18n

import "golang.org/x/sys/windows"

// systemLanguages returns the user's interface languages, best first.
func systemLanguages() []string {
	languages, err := windows.GetUserPreferredUILanguages(windows.MUI_LANGUAGE_NAME)
	if err != nil {
		return nil
	}
	return languages
}
