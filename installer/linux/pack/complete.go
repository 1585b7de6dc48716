package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// words are what a shell completes for a program.
type words struct {
	name     string
	commands []string
	second   map[string][]string // words that may follow a command
	flags    []string
	files    []string // flags before a file or a folder
}

var (
	command = regexp.MustCompile(`^  (?:sudo )?(earshotd?) ([a-z]+)((?: [a-z|-]+| \[[a-z|]+(?: [A-Z]+)?\]?)?)`)
	flagged = regexp.MustCompile(`--[a-z][a-z-]*`)
	second  = regexp.MustCompile(`[a-z][a-z-]+`)
)

// wordsOf reads them out of a program's help, so that no list of them is forgotten.
func wordsOf(name, help string) words {
	w := words{name: name, second: make(map[string][]string)}
	for line := range strings.Lines(help) {
		for _, flag := range flagged.FindAllString(line, -1) {
			if !slices.Contains(w.flags, flag) {
				w.flags = append(w.flags, flag)
			}
		}
		match := command.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if match == nil || match[1] != name {
			continue
		}
		if !slices.Contains(w.commands, match[2]) {
			w.commands = append(w.commands, match[2])
		}
		for _, next := range second.FindAllString(match[3], -1) {
			if !slices.Contains(w.second[match[2]], next) {
				w.second[match[2]] = append(w.second[match[2]], next)
			}
		}
	}
	for _, flag := range []string{"--config", "--data", "--profile", "--bundle", "--export"} {
		if slices.Contains(w.flags, flag) {
			w.files = append(w.files, flag)
		}
	}
	slices.Sort(w.commands)
	slices.Sort(w.flags)
	return w
}

func (w words) bash() string {
	var cases strings.Builder
	for _, c := range w.commands {
		if next := w.second[c]; len(next) > 0 {
			fmt.Fprintf(&cases, "    %s) [ \"$COMP_CWORD\" -eq 2 ] && words='%s' ;;\n", c, strings.Join(next, " "))
		}
	}
	return fmt.Sprintf(`# bash completion for %[1]s

_%[1]s() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=''
  COMPREPLY=()
  case $prev in
    %[2]s) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
  esac
  case $cur in
    -*) mapfile -t COMPREPLY < <(compgen -W '%[3]s' -- "$cur"); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W '%[4]s' -- "$cur")
    return
  fi
  case ${COMP_WORDS[1]} in
%[5]s  esac
  if [ -n "$words" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  fi
}
complete -F _%[1]s %[1]s
`, w.name, strings.Join(w.files, "|"), strings.Join(w.flags, " "), strings.Join(w.commands, " "), cases.String())
}

func (w words) zsh() string {
	var cases strings.Builder
	for _, c := range w.commands {
		if next := w.second[c]; len(next) > 0 {
			fmt.Fprintf(&cases, "    %s) (( CURRENT == 3 )) && compadd -- %s && return ;;\n", c, strings.Join(next, " "))
		}
	}
	return fmt.Sprintf(`#compdef %[1]s

_%[1]s() {
  case ${words[CURRENT-1]} in
    %[2]s) _files; return ;;
  esac
  if [[ ${words[CURRENT]} == -* ]]; then
    compadd -- %[3]s
    return
  fi
  if (( CURRENT == 2 )); then
    compadd -- %[4]s
    return
  fi
  case ${words[2]} in
%[5]s  esac
  _files
}

_%[1]s "$@"
`, w.name, strings.Join(w.files, "|"), strings.Join(w.flags, " "), strings.Join(w.commands, " "), cases.String())
}

func (w words) fish() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# fish completion for %s\n\ncomplete -c %s -n __fish_use_subcommand -f -a '%s'\n", w.name, w.name, strings.Join(w.commands, " "))
	for _, c := range w.commands {
		if next := w.second[c]; len(next) > 0 {
			fmt.Fprintf(&b, "complete -c %s -n '__fish_seen_subcommand_from %s' -f -a '%s'\n", w.name, c, strings.Join(next, " "))
		}
	}
	for _, flag := range w.flags {
		more := ""
		if slices.Contains(w.files, flag) {
			more = " -r -F"
		}
		fmt.Fprintf(&b, "complete -c %s -l %s%s\n", w.name, strings.TrimPrefix(flag, "--"), more)
	}
	return b.String()
}
