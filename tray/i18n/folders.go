package i18n

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// maxFile is the largest catalogue that is read from a folder, in bytes.
const maxFile = 1 << 20

// Problems returns a sentence for each file of Folders that could not be used.
// The others are.
func Problems() []error { return catalogues().problems }

// addFolders adds what Folders hold, later ones over earlier ones.
func (c *loaded) addFolders(folders []string) {
	for _, folder := range folders {
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		c.problems = append(c.problems, add(c.bundle, os.DirFS(folder), ".", folder)...)
	}
}

// add reads every TAG/NAME.toml below root. called is how a person calls it.
func add(bundle *i18n.Bundle, files fs.FS, root, called string) (problems []error) {
	wrong := func(file string, err error) {
		problems = append(problems, fmt.Errorf("the texts in %s/%s are not used: %w", called, file, err))
	}
	err := fs.WalkDir(files, root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			wrong(file, err)
			return nil // the others may do
		}
		if entry.IsDir() || path.Ext(file) != ".toml" {
			return nil
		}
		if err := addFile(bundle, files, file); err != nil {
			wrong(file, err)
		}
		return nil
	})
	if err != nil {
		wrong(root, err)
	}
	return problems
}

func addFile(bundle *i18n.Bundle, files fs.FS, file string) error {
	info, err := fs.Stat(files, file)
	if err != nil {
		return err
	}
	if info.Size() > maxFile {
		return fmt.Errorf("it has more than %d bytes", maxFile)
	}
	b, err := fs.ReadFile(files, file)
	if err != nil {
		return err
	}
	// go-i18n takes the language from the name: part.TAG.toml.
	dir, name := path.Split(file)
	tag := path.Base(dir)
	if _, err := language.Parse(tag); err != nil {
		return fmt.Errorf("the folder %q is not named by a language, such as de or pt-BR", tag)
	}
	_, err = bundle.ParseMessageFileBytes(b, name[:len(name)-len("toml")]+tag+".toml")
	return err
}

// Languages returns the tags of all languages that there are, English first.
func Languages() []string {
	var tags []string
	for _, tag := range catalogues().bundle.LanguageTags() {
		tags = append(tags, tag.String())
	}
	slices.Sort(tags[1:])
	return tags
}
