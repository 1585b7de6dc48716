package protocol_test

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "earshot"

// rule forbids the packages at or below from to import those at or below to,
// except those at or below except. Tests are bound too, unless tests says not.
// Directories are relative to the module; to may be a package of the standard
// library, which is matched exactly.
type rule struct {
	from, to string
	except   []string
	noTests  bool // the rule is for the product's code only
	reason   string
}

var rules = []rule{
	{from: "protocol", to: "p2p", reason: "the wire is below whoever speaks on it"},
	{from: "protocol", to: "svc", reason: "the wire is below whoever speaks on it"},
	{from: "protocol", to: "tray", reason: "the wire is below whoever speaks on it"},
	{from: "p2p", to: "svc", reason: "a peer works with any coordinator; tests run against a textbook one"},
	{from: "p2p", to: "tray", reason: "a peer doesn't know who shows its messages"},
	{from: "svc", to: "p2p", except: []string{"svc/storm"}, reason: "the coordinator is no peer, so that the client may change without it; one test has both"},
	{from: "svc", to: "tray", reason: "the coordinator runs where nobody looks at a screen"},
	{from: "tray", to: "svc", reason: "the client works with any coordinator; tests drive the built program"},
	{from: "", to: "svc/earshotd", reason: "a main package is the top of its house"},
	{from: "svc", to: "svc/load", except: []string{"svc/load"}, reason: "what puts load on a coordinator is no part of one"},
	{from: "", to: "tray/earshot", reason: "a main package is the top of its house"},
	{from: "protocol", to: "net", except: []string{"protocol/hostnet", "protocol/classic/classictest"}, noTests: true,
		reason: "parsers do no I/O, so that they can be fuzzed and used by both sides"},
	{from: "protocol", to: "os", except: []string{"protocol/hostnet"}, noTests: true,
		reason: "parsers do no I/O, so that they can be fuzzed and used by both sides"},
	// identity's certificates have dates, which are the same at any time.
	{from: "protocol", to: "time", except: []string{"protocol/hostnet", "protocol/classic/classictest", "protocol/identity"}, noTests: true,
		reason: "what a message says doesn't depend on when it is read"},
}

// importEdge is one import in one file.
type importEdge struct {
	from, to string // to without the module's name if it is ours
	file     string
	test     bool
}

// broken returns a sentence for each edge that breaks a rule.
func broken(rules []rule, edges []importEdge) (sentences []string) {
	for _, r := range rules {
		for _, e := range edges {
			excepted := slices.ContainsFunc(r.except, func(dir string) bool { return below(e.from, dir) })
			// A main package's own external tests may import it.
			if e.from == e.to || r.noTests && e.test || excepted {
				continue
			}
			if below(e.from, r.from) && (e.to == r.to || isOurs(r.to) && below(e.to, r.to)) {
				sentences = append(sentences, fmt.Sprintf("%s imports %s: %s", e.file, e.to, r.reason))
			}
		}
	}
	return sentences
}

func below(dir, top string) bool {
	return top == "" || dir == top || strings.HasPrefix(dir, top+"/")
}

// isOurs tells the module's directories from the standard library's packages.
func isOurs(dir string) bool {
	top, _, _ := strings.Cut(dir, "/")
	return slices.Contains([]string{"protocol", "p2p", "svc", "tray", "installer", "icons"}, top)
}

// TestHouseImports holds the import directions of the whole module.
func TestHouseImports(t *testing.T) {
	files := goFiles(t)
	var edges []importEdge
	packages := map[string]bool{}
	for _, f := range files {
		packages[path.Dir(f.name)] = true
		for _, spec := range f.syntax.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			to = strings.TrimPrefix(to, module+"/")
			edges = append(edges, importEdge{path.Dir(f.name), to, f.name, f.test()})
		}
	}
	if len(packages) < 5 || len(edges) < 50 {
		t.Fatalf("only %d packages with %d imports were found", len(packages), len(edges))
	}
	for _, sentence := range broken(rules, edges) {
		t.Error(sentence)
	}
	for _, r := range rules {
		for _, dir := range append([]string{r.from}, r.except...) {
			if dir != "" && !slices.ContainsFunc(slices.Collect(maps.Keys(packages)), func(p string) bool { return below(p, dir) }) {
				t.Errorf("a rule is about %s, which doesn't exist", dir)
			}
		}
	}
}

// TestHouseRulesHold plants a violation of each rule and what looks like one.
func TestHouseRulesHold(t *testing.T) {
	for _, r := range rules {
		from := path.Join(r.from, "some/package")
		to := r.to
		if isOurs(to) {
			to = path.Join(to, "deep")
		}
		planted := importEdge{from, to, from + "/file.go", false}
		if got := broken([]rule{r}, []importEdge{planted}); len(got) != 1 || !strings.Contains(got[0], r.reason) {
			t.Errorf("%s importing %s passes: %v", from, to, got)
		}
		planted.test = true
		if got := broken([]rule{r}, []importEdge{planted}); (len(got) == 1) == r.noTests {
			t.Errorf("a test in %s importing %s: %v", from, to, got)
		}
		innocent := []importEdge{
			{from, r.to + "things", "", false},
			{to, to, "", true},
			{from, "github.com/example/" + to, "", false},
		}
		if r.from != "" {
			innocent = append(innocent, importEdge{r.from + "things", to, "", false})
		}
		for _, dir := range r.except {
			innocent = append(innocent, importEdge{dir, to, "", false})
		}
		if got := broken([]rule{r}, innocent); len(got) != 0 {
			t.Errorf("innocent imports break a rule: %v", got)
		}
	}
}

// TestHouseFiles holds the length of files, and what tests may not do.
func TestHouseFiles(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, sentence := range f.offences() {
			t.Error(sentence)
		}
	}
}

// TestHouseOffencesAreSeen plants each offence.
func TestHouseOffencesAreSeen(t *testing.T) {
	long := strings.Repeat("//\n", maxLines)
	cases := []struct {
		name, file, source string
		offences           int
	}{
		{"clean", "a_test.go", "package a\nfunc f() { t.Log() }", 0},
		{"long", "a.go", "package a\n" + long, 1},
		{"long but generated", "a.go", "// Code generated by x. DO NOT EDIT.\n\npackage a\n" + long, 0},
		{"claims it too late", "a.go", "package a\n// Code generated by x. DO NOT EDIT.\n" + long, 1},
		{"skip", "a_test.go", "package a\nfunc f() { t.Skip(); t.Skipf(``); b.SkipNow() }", 3},
		{"skip outside a test file", "a.go", "package a\nfunc f() { t.Skip() }", 1},
		{"the bed's helper", "need.go", "package a\nfunc Need() { t.Skip() }", 0},
		{"sleep", "a_test.go", "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }", 1},
		{"sleep by another name", "a_test.go", "package a\nimport T \"time\"\nfunc f() { T.Sleep(1) }", 1},
		{"sleep in fake time", "a_test.go", "package a\nimport \"time\"\nimport _ \"testing/synctest\"\nfunc f() { time.Sleep(1) }", 0},
		{"sleep in the product", "a.go", "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }", 0},
	}
	for _, c := range cases {
		f, err := parseFile(c.file, []byte(c.source))
		if err != nil {
			t.Fatal(err)
		}
		if got := f.offences(); len(got) != c.offences {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

const maxLines = 500

type goFile struct {
	name   string // slashed, relative to the module
	source []byte
	syntax *ast.File
}

func (f goFile) test() bool { return strings.HasSuffix(f.name, "_test.go") }

func parseFile(name string, source []byte) (goFile, error) {
	syntax, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
	return goFile{name, source, syntax}, err
}

// offences returns a sentence for each rule of the house that the file breaks.
func (f goFile) offences() (sentences []string) {
	if n := lines(f.source); n > maxLines && !ast.IsGenerated(f.syntax) {
		sentences = append(sentences, fmt.Sprintf("%s has %d lines: split it by what its parts are", f.name, n))
	}
	timeName, fakeTime := "", false
	for _, spec := range f.syntax.Imports {
		fakeTime = fakeTime || spec.Path.Value == `"testing/synctest"`
		if spec.Path.Value == `"time"` {
			timeName = "time"
			if spec.Name != nil {
				timeName = spec.Name.Name
			}
		}
	}
	for _, decl := range f.syntax.Decls {
		fn, _ := decl.(*ast.FuncDecl)
		helper := fn != nil && strings.EqualFold(fn.Name.Name, "need") && path.Base(f.name) == "need.go"
		ast.Inspect(decl, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			on, _ := sel.X.(*ast.Ident)
			switch sel.Sel.Name {
			case "Skip", "Skipf", "SkipNow":
				if on != nil && slices.Contains([]string{"t", "b", "f", "tb"}, on.Name) && !helper {
					sentences = append(sentences, f.name+" skips a test: only a bed's need may, in need.go, which fails where CI is set")
				}
			case "Sleep":
				if on != nil && on.Name == timeName && f.test() && !fakeTime {
					sentences = append(sentences, f.name+" sleeps: wait for the event, or use testing/synctest")
				}
			}
			return true
		})
	}
	return sentences
}

func lines(source []byte) (n int) {
	for s := bufio.NewScanner(bytes.NewReader(source)); s.Scan(); n++ {
	}
	return n
}

// goFiles returns every Go file of the module.
func goFiles(t *testing.T) (files []goFile) {
	t.Helper()
	const root = ".."
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); file != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "artifacts") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(file) != ".go" {
			return nil
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		f, err := parseFile(filepath.ToSlash(name), source)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
