package main

import (
	"slices"
	"strconv"
	"strings"

	"earshot/tray/i18n"
	"earshot/tray/settings"

	"golang.org/x/text/language"
)

// options are what the command line says, apart from the command.
type options struct {
	profile, server, name, encoding, language string
	department, display, join, bundle         string
	headless, json, everyone, urgent, help    bool
	search, export                            string
	remove, all, page                         bool
	limit                                     int
	id                                        int64 // the message that is deleted
	reply                                     int64 // the message that is answered
	words                                     []string

	given []string // the flags that were given
}

// common are the flags that every command knows.
var common = []string{"profile", "server", "name", "encoding", "language", "help"}

// parse takes the flags out of args, wherever they stand, and returns the
// words. What follows "--" is words, and so is a single dash with what follows
// it, which a text may well begin with.
func (o *options) parse(args []string, p *i18n.Printer) (words []string, err error) {
	values := map[string]*string{
		"profile": &o.profile, "server": &o.server, "name": &o.name, "encoding": &o.encoding, "language": &o.language,
		"limit": new(string), "reply": new(string), "id": new(string), "search": &o.search, "export": &o.export,
		"department": &o.department, "display": &o.display, "join": &o.join, "bundle": &o.bundle,
	}
	switches := map[string]*bool{
		"headless": &o.headless, "json": &o.json, "everyone": &o.everyone, "urgent": &o.urgent, "help": &o.help,
		"delete": &o.remove, "all": &o.all, "page": &o.page,
	}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			words = append(words, args[i+1:]...)
			break
		}
		if arg == "-h" {
			arg = "--help"
		}
		flag, ok := strings.CutPrefix(arg, "--")
		if !ok {
			words = append(words, arg)
			continue
		}
		flag, value, hasValue := strings.Cut(flag, "=")
		if to := switches[flag]; to != nil && !hasValue {
			*to = true
		} else if to := values[flag]; to != nil {
			if !hasValue {
				if i++; i == len(args) {
					return nil, usageError(p.T("CliFlagNeedsValue", "Flag", flag))
				}
				value = args[i]
			}
			*to = value
		} else {
			return nil, usageError(p.T("CliUnknownFlag", "Flag", clean(arg)))
		}
		o.given = append(o.given, flag)
	}
	return words, o.validate(*values["limit"], *values["reply"], *values["id"], p)
}

// has says whether a flag was given, be it empty.
func (o *options) has(flag string) bool { return slices.Contains(o.given, flag) }

func (o *options) validate(limit, reply, id string, p *i18n.Printer) error {
	for _, number := range []struct {
		flag, word string
		to         *int64
	}{{"reply", reply, &o.reply}, {"id", id, &o.id}} {
		if !o.has(number.flag) {
			continue
		}
		n, err := strconv.ParseInt(number.word, 10, 64)
		if err != nil || n < 1 {
			return usageError(p.T("CliMessageID", "Word", clean(number.word)))
		}
		*number.to = n
	}
	if slices.Contains(o.given, "limit") {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 {
			return usageError(p.T("CliLimitNumber"))
		}
		o.limit = n
	}
	if o.encoding != "" && !slices.Contains(settings.Encodings(), o.encoding) {
		return usageError(p.T("CliEncodings", "Known", strings.Join(settings.Encodings(), ", ")))
	}
	if o.language != "" && o.language != "auto" {
		if _, err := language.Parse(o.language); err != nil {
			return usageError(p.T("CliLanguage"))
		}
	}
	return nil
}

// check says whether a command can have these words and flags.
func (o *options) check(name string, v verb, words []string, p *i18n.Printer) error {
	known := strings.Fields(v.flags)
	for _, flag := range o.given {
		if !slices.Contains(common, flag) && !slices.Contains(known, flag) {
			return usageError(p.T("CliFlagNotHere", "Flag", "--"+flag, "Command", name))
		}
	}
	least := v.min
	if name == "send" && !o.everyone && !o.has("department") {
		least = 2
	}
	if len(words) < least {
		return usageError(p.T("CliTooFewWords", "Command", name))
	}
	if v.max >= 0 && len(words) > v.max {
		return usageError(p.T("CliTooManyWords", "Command", name, "Word", clean(words[v.max])))
	}
	return nil
}
