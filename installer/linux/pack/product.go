package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"

	"earshot/svc/config"
	"earshot/svc/osservice"
	"earshot/tray/i18n"
)

// product is a program with what its package has besides it.
type product struct {
	name, source   string
	mode           string // how it is linked
	section        string // of the manual
	summary, about string
	group          string // as Debian calls it
	depends        map[string][]string
	recommends     map[string][]string
	files          []file // beside those that every package has
	service        bool
}

// file is one of a package. from is below the stage, or, with a slash before,
// below the module's root.
type file struct {
	from, to string
	config   bool // what the administrator changes stays
}

const (
	home       = "https://github.com/earshot/earshot"
	maintainer = "The Earshot developers <developers@earshot.invalid>"
)

var products = []product{
	{
		name: "earshotd", source: "./svc/earshotd", mode: "exe", section: "8", group: "net", service: true,
		summary: "coordinator of the Earshot messenger for your own network",
		about: "Earshot is an instant messenger for everyone on one's own network: an office,\n" +
			"a lab, a family. The coordinator knows who is online and introduces people to\n" +
			"each other; messages go straight from one computer to the other. One\n" +
			"coordinator serves a network.",
		files: []file{
			{from: "earshotd.service", to: "/usr/lib/systemd/system/earshotd.service"},
			{from: "earshotd.toml", to: "/etc/earshot/earshotd.toml", config: true},
			{from: "/installer/linux/pack/files/50-earshot.conf", to: "/usr/lib/sysctl.d/50-earshotd.conf"},
			{from: "earshotd.toml.5.gz", to: "/usr/share/man/man5/earshotd.toml.5.gz"},
		},
	},
	{
		name: "earshot", source: "./tray/earshot", mode: "pie", section: "1", group: "net",
		summary: "instant messenger in the tray for your own network",
		about: "Earshot is an instant messenger for everyone on one's own network: an office,\n" +
			"a lab, a family. Its icon in the tray has the list of people as its menu: click\n" +
			"a name, type, press Enter. Messages go straight from one computer to the other,\n" +
			"encrypted, and nothing is in the cloud. A coordinator, which is the package\n" +
			"earshotd, has to run on one computer of the network.",
		// It finds GTK at run time, by the C library's own loader.
		depends: map[string][]string{"deb": {"libc6"}, "rpm": {"glibc"}, "archlinux": {"glibc"}, "apk": {"gcompat"}},
		recommends: map[string][]string{
			"deb": {"libgtk-3-0 | libgtk-3-0t64", "xdg-utils"},
			"rpm": {"gtk3", "xdg-utils"},
		},
		files: []file{
			{from: "/installer/linux/pack/files/50-earshot.conf", to: "/usr/lib/sysctl.d/50-earshot.conf"},
			{from: "/installer/linux/pack/files/io.github.earshot.Earshot.desktop", to: "/usr/share/applications/io.github.earshot.Earshot.desktop"},
			{from: "io.github.earshot.Earshot.metainfo.xml", to: "/usr/share/metainfo/io.github.earshot.Earshot.metainfo.xml"},
			{from: "/icons/src/app.svg", to: "/usr/share/icons/hicolor/scalable/apps/earshot.svg"},
		},
	},
}

func init() {
	client := &products[1]
	for _, size := range []int{16, 22, 24, 32, 48, 64, 128, 256} {
		client.files = append(client.files, file{
			from: fmt.Sprintf("/icons/png/app-%d.png", size), to: fmt.Sprintf("/usr/share/icons/hicolor/%dx%d/apps/earshot.png", size, size),
		})
	}
}

// help is what the program says of itself.
func (p product) help() (string, error) {
	if !p.service {
		return i18n.New("en").T("CliHelp"), nil
	}
	text, err := os.ReadFile("svc/earshotd/help.txt")
	return string(text), err
}

// common writes what a package has for every architecture.
func (j *job) common(p product) error {
	help, err := p.help()
	if err != nil {
		return err
	}
	words := wordsOf(p.name, help)
	contents := map[string][]byte{
		p.name + "." + p.section: man(p.name, p.section, p.summary, help, j.when),
		p.name + ".bash":         []byte(words.bash()),
		p.name + ".zsh":          []byte(words.zsh()),
		p.name + ".fish":         []byte(words.fish()),
		p.name + ".copyright":    []byte(copyright),
		p.name + ".changelog":    []byte(j.changelog(p)),
	}
	if p.service {
		contents["earshotd.service"] = []byte(osservice.Unit("/usr/bin/earshotd", "run", "--config", "/etc/earshot/earshotd.toml"))
		contents["earshotd.toml"] = []byte(config.Example)
		contents["earshotd.toml.5"] = manOfConfig(config.Example, j.when)
	} else {
		text, err := os.ReadFile("installer/linux/pack/files/metainfo.xml")
		if err != nil {
			return err
		}
		release := strings.NewReplacer("{{version}}", j.version, "{{date}}", j.when.Format(time.DateOnly))
		contents["io.github.earshot.Earshot.metainfo.xml"] = []byte(release.Replace(string(text)))
	}
	for name, content := range contents {
		// The pages of the manual end in their sections.
		if ext := filepath.Ext(name); ext == ".changelog" || len(ext) == 2 {
			name += ".gz"
			if content, err = compress(content); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(j.stage, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compress is gzip without a name and a time, which would differ each time.
func compress(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

// changelog is Debian's, of which there is one entry: what has changed is told
// by the project's own.
func (j *job) changelog(p product) string {
	return fmt.Sprintf("%s (%s) stable; urgency=medium\n\n  * What is new stands in the project's CHANGELOG.md.\n\n -- %s  %s\n",
		p.name, versionFor("deb", j.version), maintainer, j.when.Format(time.RFC1123Z))
}

// versionFor is a version as a kind of package has it, so that what git adds to
// one (-5-gabcdef, five commits later) sorts behind it.
func versionFor(format, version string) string {
	base, added, later := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	switch {
	case !later:
		return base
	case format == "apk": // which has no place for a commit
		commits, _, _ := strings.Cut(added, "-")
		if _, err := strconv.Atoi(commits); err != nil {
			commits = "0"
		}
		return base + "_p" + commits
	}
	return base + "+" + strings.ReplaceAll(added, "-", ".")
}

const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Earshot
Source: ` + home + `

Files: *
Copyright: 2026 The Earshot developers
License: Apache-2.0
 On Debian systems, the full text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
`

// recipe is what nfpm reads.
func (j *job) recipe(p product, arch, format, program string) (string, error) {
	type content struct{ From, To, Type, Mode string }
	v := struct {
		Name, Arch, Version, Summary, Group, Home, Maintainer, When, Release, License string
		About, Depends, Recommends                                                    []string
		Contents                                                                      []content
		Scripts                                                                       map[string]string
	}{
		Name: p.name, Arch: arch, Version: versionFor(format, j.version), Summary: p.summary, Group: p.group, Home: home, Maintainer: maintainer,
		When: j.when.Format(time.RFC3339), About: strings.Split(p.about, "\n"), Depends: p.depends[format], Recommends: p.recommends[format],
	}
	if format != "deb" { // there it would be the packager's, who is another one than the author
		v.Release, v.License = "1", "Apache-2.0" // which Debian has in the file copyright
	}
	add := func(from, to, mode string, keep bool) {
		kind := "file"
		if keep {
			kind = "config|noreplace"
		}
		v.Contents = append(v.Contents, content{from, to, kind, mode})
	}
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	add(program, "/usr/bin/"+p.name, "0755", false)
	for _, f := range p.files {
		from := filepath.Join(j.stage, f.from)
		if strings.HasPrefix(f.from, "/") {
			from = filepath.Join(root, f.from)
		}
		add(from, f.to, "0644", f.config)
	}
	doc := "/usr/share/doc/" + p.name + "/"
	for from, to := range map[string]string{
		p.name + "." + p.section + ".gz": "/usr/share/man/man" + p.section + "/" + p.name + "." + p.section + ".gz",
		p.name + ".bash":                 "/usr/share/bash-completion/completions/" + p.name,
		p.name + ".zsh":                  map[bool]string{true: "/usr/share/zsh/vendor-completions/_", false: "/usr/share/zsh/site-functions/_"}[format == "deb"] + p.name,
		p.name + ".fish":                 "/usr/share/fish/vendor_completions.d/" + p.name + ".fish",
		p.name + ".copyright":            doc + "copyright",
		p.name + ".changelog.gz":         doc + "changelog.gz",
	} {
		add(filepath.Join(j.stage, from), to, "0644", false)
	}
	if format == "deb" && p.service {
		add(filepath.Join(root, "installer/linux/pack/files/earshotd.lintian-overrides"), "/usr/share/lintian/overrides/earshotd", "0644", false)
	}
	v.Scripts = scripts(p, format, filepath.Join(root, "installer", "linux", "pack", "files"))
	var b bytes.Buffer
	err = recipe.Execute(&b, v)
	return b.String(), err
}

// scripts are what a package manager runs.
func scripts(p product, format, dir string) map[string]string {
	all := make(map[string]string)
	for _, moment := range []string{"preinstall", "postinstall", "preremove", "postremove"} {
		for _, name := range []string{p.name + "." + format + "." + moment, "both." + format + "." + moment} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				all[moment] = filepath.Join(dir, name)
				break
			}
		}
	}
	return all
}

var recipe = template.Must(template.New("nfpm").Funcs(template.FuncMap{"quote": func(s string) string { return fmt.Sprintf("%q", s) }}).Parse(`name: {{.Name}}
arch: {{.Arch}}
platform: linux
version: {{quote .Version}}
version_schema: none
{{- if .Release}}
release: "{{.Release}}"
{{- end}}
section: {{.Group}}
priority: optional
maintainer: {{quote .Maintainer}}
homepage: {{.Home}}
{{- if .License}}
license: {{.License}}
{{- end}}
mtime: {{.When}}
umask: 0022
description: |
  {{.Summary}}
{{- range .About}}
  {{.}}
{{- end}}
{{- if .Depends}}
depends:
{{- range .Depends}}
  - {{quote .}}
{{- end}}{{end}}
{{- if .Recommends}}
recommends:
{{- range .Recommends}}
  - {{quote .}}
{{- end}}{{end}}
contents:
{{- range .Contents}}
  - src: {{quote .From}}
    dst: {{quote .To}}
    type: {{quote .Type}}
    file_info:
      mode: {{.Mode}}
      owner: root
      group: root
{{- end}}
scripts:
{{- range $moment, $file := .Scripts}}
  {{$moment}}: {{quote $file}}
{{- end}}
deb:
  compression: xz
rpm:
  compression: xz
  summary: {{quote .Summary}}
  group: Applications/Internet
`))
