package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// The texts of both programs' help have the same form, which is that of a page
// of the manual already: headings at the left edge, below them paragraphs and
// lists of "term   what it means", indented by two. man makes roff of it.

// escape keeps roff from reading a text as its own language.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "“", `\(lq`, "”", `\(rq`, "…", "...", "’", "'", "'", `\(aq`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

func title(name, section string, when time.Time) string {
	return fmt.Sprintf(".TH %s %s %s Earshot \"Earshot\"\n", strings.ToUpper(name), section, when.Format(time.DateOnly))
}

// man is a page about a program.
func man(name, section, summary, help string, when time.Time) []byte {
	var b strings.Builder
	b.WriteString(title(name, section, when))
	body := help
	if !strings.HasPrefix(help, "NAME\n") {
		fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH USAGE\n", name, escape(summary))
	}
	p := page{out: &b}
	for line := range strings.Lines(body) {
		p.line(strings.TrimRight(line, "\n"))
	}
	p.end()
	return []byte(b.String())
}

// page is a page under way.
type page struct {
	out *strings.Builder
	// name says that the line with the page's name comes: its dash is the one
	// that is looked for.
	name bool
	// item says that what follows further in belongs to a list's item.
	item bool
	text bool // something is written since the last break
}

// entry is an item of a list: a term, and what it means after three spaces.
var entry = regexp.MustCompile(`^  (\S.*?)(?:  +(\S.*))?$`)

func (p *page) line(line string) {
	switch indent := len(line) - len(strings.TrimLeft(line, " ")); {
	case strings.TrimSpace(line) == "":
		p.item = false
		if p.text {
			p.out.WriteString(".PP\n")
			p.text = false
		}
	case indent == 0 && isHeading(line):
		heading := strings.TrimSuffix(line, ":")
		fmt.Fprintf(p.out, ".SH \"%s\"\n", escape(strings.ToUpper(heading)))
		p.name, p.item, p.text = heading == "NAME", false, false
	case p.name:
		name, what, _ := strings.Cut(strings.TrimSpace(line), " - ")
		fmt.Fprintf(p.out, "%s \\- %s\n", name, escape(what))
		p.name = false
	case indent > 2 && p.item:
		p.write(line)
	default:
		match := entry.FindStringSubmatch(line)
		if match == nil || match[2] == "" && !isTerm(match[1]) {
			p.item = false
			p.write(line)
			return
		}
		fmt.Fprintf(p.out, ".TP\n\\fB%s\\fR\n", escape(match[1]))
		p.item, p.text = true, true
		if match[2] != "" {
			p.write(match[2])
		}
	}
}

func (p *page) write(text string) {
	p.out.WriteString(escape(strings.TrimSpace(text)) + "\n")
	p.text = true
}

func (p *page) end() {
	if !p.text {
		p.out.WriteString(".br\n")
	}
}

// isHeading says that a line without an indent is no sentence.
func isHeading(line string) bool {
	return strings.HasSuffix(line, ":") || !strings.HasSuffix(line, ".") && unicode.IsUpper(rune(line[0])) && strings.ToUpper(line[:2]) == line[:2]
}

// isTerm says that a line alone is a term whose meaning is on the next one: a
// command or a flag.
func isTerm(text string) bool {
	return strings.HasPrefix(text, "earshot") || strings.HasPrefix(text, "--") || strings.HasPrefix(text, "sudo ")
}

// manOfConfig is the page about the configuration file, which explains itself.
func manOfConfig(example string, when time.Time) []byte {
	var b strings.Builder
	b.WriteString(title("earshotd.toml", "5", when))
	b.WriteString(".SH NAME\nearshotd.toml \\- configuration of earshotd, Earshot's coordinator\n" +
		".SH DESCRIPTION\nThe file is TOML. This is the one with every key and its default, as \\fBearshotd example\\fR prints it.\n.PP\n.nf\n")
	for line := range strings.Lines(example) {
		b.WriteString(escape(strings.TrimRight(line, "\n")) + "\n")
	}
	b.WriteString(".fi\n.SH \"SEE ALSO\"\n.BR earshotd (8)\n")
	return []byte(b.String())
}
