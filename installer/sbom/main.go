// Command sbom writes what the programs are made of, in CycloneDX 1.6: the modules
// whose code is in them, with versions and checksums of their source.
//
//	sbom -version 1.2.3 ./svc/earshotd ./tray/earshot
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	version := flag.String("version", "", "the version of the programs")
	flag.Parse()
	if err := write(os.Stdout, *version, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// The parts of a document that are used here.
type document struct {
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Metadata    metadata    `json:"metadata"`
	Components  []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	URL     string `json:"purl,omitempty"`
	// Properties hold go.sum's checksum of the source, which is that of a list of
	// files and so none of the kinds that the format has.
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// module is what the go command says of one.
type module struct {
	Path, Version, Sum string
	Main               bool
}

// platforms are those of whose programs the document tells.
var platforms = []string{"linux", "windows", "darwin"}

func write(w io.Writer, version string, programs []string) error {
	if version == "" || len(programs) == 0 {
		return errors.New("a version and the programs are needed")
	}
	found := make(map[string]module)
	for _, system := range platforms {
		list := exec.Command("go", append([]string{"list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}} {{.Sum}} {{.Main}}{{end}}"}, programs...)...)
		list.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		var complaint bytes.Buffer
		list.Stderr = &complaint
		out, err := list.Output()
		if err != nil {
			return fmt.Errorf("%w: %s", err, complaint.String())
		}
		for line := range strings.Lines(string(out)) {
			fields := strings.Fields(line)
			if len(fields) == 4 {
				found[fields[0]] = module{fields[0], fields[1], fields[2], false}
			}
		}
	}
	doc := document{Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{component{Type: "application", Ref: "earshot@" + version, Name: "earshot", Version: version}}}
	compiler, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		return err
	}
	standard := strings.TrimPrefix(strings.TrimSpace(string(compiler)), "go")
	doc.Components = append(doc.Components, component{Type: "library", Ref: "std@" + standard, Name: "std", Version: standard, URL: "pkg:golang/std@" + standard})
	for _, m := range found {
		c := component{Type: "library", Ref: m.Path + "@" + m.Version, Name: m.Path, Version: m.Version, URL: "pkg:golang/" + m.Path + "@" + m.Version}
		if m.Sum != "" {
			c.Properties = []property{{"go.sum", m.Sum}}
		}
		doc.Components = append(doc.Components, c)
	}
	slices.SortFunc(doc.Components, func(a, b component) int { return strings.Compare(a.Ref, b.Ref) })
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(doc)
}
