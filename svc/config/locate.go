package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Locate names the line of a file to which an error is due that calls a key by
// its name, unless the key isn't set there. overridden are keys whose values come
// from somewhere else.
func Locate(file string, err error, overridden ...string) error {
	text, failed := os.ReadFile(file)
	if failed != nil || !errors.Is(err, ErrConfig) {
		return err
	}
	sentence := strings.TrimPrefix(err.Error(), ErrConfig.Error()+": ")
	for _, key := range keysIn(sentence) {
		if line := lineOf(string(text), key); line > 0 && !slices.Contains(overridden, key) {
			return fmt.Errorf("%w: %s, line %d: %s", ErrConfig, file, line, sentence)
		}
	}
	return err
}

// keysIn are the keys that a sentence names, in its order.
func keysIn(sentence string) (keys []string) {
	type place struct {
		key string
		at  int
	}
	var places []place
	var walk func(of reflect.Type, under string)
	walk = func(of reflect.Type, under string) {
		for field := range of.Fields() {
			key := under + field.Tag.Get("toml")
			if field.Type.Kind() == reflect.Struct {
				walk(field.Type, key+".")
				continue
			}
			if at := regexp.MustCompile(`(^|[^\w.-])` + regexp.QuoteMeta(key) + `($|[^\w.-])`).FindStringIndex(sentence); at != nil {
				places = append(places, place{key, at[0]})
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
	slices.SortStableFunc(places, func(a, b place) int { return a.at - b.at })
	for _, p := range places {
		keys = append(keys, p.key)
	}
	return keys
}

// lineOf is where a file sets a key, counted from 1; 0 if it doesn't. The file has
// been read as TOML already, and has no key twice.
func lineOf(text, key string) int {
	table := ""
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok && !strings.Contains(line, "=") {
			name, _, _ = strings.Cut(name, "]")
			table = strings.TrimSpace(name) + "."
			continue
		}
		if name, _, ok := strings.Cut(line, "="); ok && table+strings.TrimSpace(name) == key {
			return n
		}
	}
	return 0
}
