// Package i18n holds every text that the client shows to a person, in English
// and Simplified Chinese.
//
// It is built on nicksnyder/go-i18n rather than x/text/message because its
// catalogues are files that are read at run time (a new language is a folder
// of them, without a compiler) and know CLDR plurals; x/text generates Go code.
//
// A language is a folder under locales named by its BCP 47 tag, with one TOML
// file for each part of the client.
package i18n

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
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
	bundle := catalogues()
	wanted := []string{setting}
	if setting == "" || setting == "auto" {
		wanted = systemLanguages()
	}
	tag := match(bundle.LanguageTags(), wanted)
	p.in.Store(&speech{localizer: i18n.NewLocalizer(bundle, tag.String()), tag: tag})
}

// catalogues parses every catalogue, once for the process: a bundle is only
// read after that, from any goroutine.
var catalogues = sync.OnceValue(load)

func load() *i18n.Bundle {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	err := fs.WalkDir(locales, "locales", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := locales.ReadFile(file)
		if err != nil {
			return err
		}
		// go-i18n takes the language from the name: part.TAG.toml.
		dir, name := path.Split(file)
		tag := path.Base(dir)
		_, err = bundle.ParseMessageFileBytes(b, name[:len(name)-len("toml")]+tag+".toml")
		return err
	})
	if err != nil {
		// The catalogues are compiled in and a test loads every one of them.
		panic(fmt.Sprintf("i18n: the catalogues are broken: %v", err))
	}
	return bundle
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
	text, err := p.in.Load().localizer.Localize(config)
	if err != nil && text == "" {
		return id
	}
	return text
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
