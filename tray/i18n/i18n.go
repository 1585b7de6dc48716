// Package i18n holds every text that the client shows to a person, in English
// and Simplified Chinese.
//
// It is built on nicksnyder/go-i18n rather than x/text/message because its
// catalogues are files that are read at run time (a new language is a folder
// of them, without a compiler) and know CLDR plurals; x/text generates Go code.
//
// A language is a folder under locales named by its BCP 47 tag, with one TOML
// file for each part of the client. Others are dropped in as such folders, see
// Folders; what they lack is in English.
package i18n

import (
	"embed"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/pelletier/go-toml/v2"
	"golang.org/x/text/language"
)

//go:embed locales
var locales embed.FS

// Printer turns message IDs into text of one language. It may be used from any
// goroutine.
type Printer struct{ in atomic.Pointer[speech] }

// speech is one language.
type speech struct {
	localizer *i18n.Localizer
	tag       language.Tag
}

// New returns the printer for the language that setting names by its BCP 47
// tag. If setting is empty or "auto", the locale of the environment (on
// Windows, the user's interface language) decides. A language without a
// catalogue gives English.
func New(setting string) *Printer {
	p := new(Printer)
	p.Switch(setting)
	return p
}

// Switch changes the language of all that is said from now on, as New chooses
// it.
func (p *Printer) Switch(setting string) {
	bundle := catalogues().bundle
	wanted := []string{setting}
	if setting == "" || setting == "auto" {
		wanted = systemLanguages()
	}
	tag := match(bundle.LanguageTags(), wanted)
	p.in.Store(&speech{localizer: i18n.NewLocalizer(bundle, tag.String()), tag: tag})
}

// loaded are the catalogues, which are only read once they are.
type loaded struct {
	bundle   *i18n.Bundle
	problems []error
	english  *i18n.Localizer
}

// catalogues parses every catalogue, once for the process: a bundle is only
// read after that, from any goroutine.
var catalogues = sync.OnceValue(func() *loaded { return load(Folders()) })

func load(folders []string) *loaded {
	c := &loaded{bundle: i18n.NewBundle(language.English)}
	c.bundle.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	if problems := add(c.bundle, locales, "locales", "the program"); len(problems) > 0 {
		// The catalogues are compiled in and a test loads every one of them.
		panic(fmt.Sprintf("i18n: the catalogues are broken: %v", problems))
	}
	c.addFolders(folders)
	c.english = i18n.NewLocalizer(c.bundle, "en")
	return c
}

// Tag is the language of the texts.
func (p *Printer) Tag() language.Tag { return p.in.Load().tag }

// T returns the text of a message. The arguments are names and values by turns
// and fill the template's {{.Name}}; an integer named Count chooses the plural.
// An ID that no catalogue has is returned as it is.
func (p *Printer) T(id string, args ...any) string {
	config := &i18n.LocalizeConfig{MessageID: id}
	if len(args) > 0 {
		data := make(map[string]any, len(args)/2)
		for i := 0; i+1 < len(args); i += 2 {
			name := args[i].(string)
			data[name] = args[i+1]
			if name == "Count" {
				config.PluralCount = args[i+1]
			}
		}
		config.TemplateData = data
	}
	c := catalogues()
	return localized(p.in.Load().localizer, c.english, config)
}

// localized is a text, in English if it can't be said otherwise: one that
// somebody dropped in may ask for what there isn't.
func localized(in, english *i18n.Localizer, config *i18n.LocalizeConfig) string {
	for _, localizer := range []*i18n.Localizer{in, english} {
		if text, err := localizer.Localize(config); err == nil || text != "" {
			return text
		}
	}
	return config.MessageID
}

func match(have []language.Tag, wanted []string) language.Tag {
	var tags []language.Tag
	for _, w := range wanted {
		if tag, err := language.Parse(w); err == nil {
			tags = append(tags, tag)
		}
	}
	_, i, confidence := language.NewMatcher(have).Match(tags...)
	if confidence == language.No {
		return language.English
	}
	return have[i]
}
