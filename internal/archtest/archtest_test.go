package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/neargate/neargate/"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Standard   bool
	Doc        string
	GoFiles    []string
	Imports    []string
	// What only the tests import, of the package and of its _test twin.
	TestImports, XTestImports []string
}

// short returns the import path inside the module.
func (p pkg) short() string { return strings.TrimPrefix(p.ImportPath, module) }

func TestDependencyRules(t *testing.T) {
	for _, p := range list(t) {
		for _, rule := range rules {
			if !rule.covers(p.short()) {
				continue
			}
			imports := p.Imports
			if rule.tests {
				imports = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
			}
			for _, imp := range imports {
				if rule.forbids(imp) {
					t.Errorf("%s imports %s: %s", p.short(), strings.TrimPrefix(imp, module), rule.reason)
				}
			}
		}
	}
}

// TestPureFiles keeps the thinking free of side effects: files named compile*.go and plan*.go take data and return data.
func TestPureFiles(t *testing.T) {
	for _, p := range list(t) {
		for _, name := range p.GoFiles {
			if !isPure(name) {
				continue
			}
			tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, imp := range tree.Imports {
				path := strings.Trim(imp.Path.Value, `"`)
				if why, bad := impurity(path); bad {
					t.Errorf("%s/%s imports %s: %s", p.short(), name, strings.TrimPrefix(path, module), why)
				}
			}
		}
	}
}

// TestEveryPackageHasADocComment demands one comment per package, which also says where to start when there is a choice.
func TestEveryPackageHasADocComment(t *testing.T) {
	for _, p := range list(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		source := map[string][]byte{}
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			source[name] = text
		}
		if why := undocumented(t, source); why != "" {
			t.Errorf("%s: %s", p.short(), why)
		}
	}
}

func TestNamesOfPackages(t *testing.T) {
	for _, p := range list(t) {
		if name := p.short()[strings.LastIndex(p.short(), "/")+1:]; slices.Contains(vague, name) {
			t.Errorf("%s: a package is named after what it provides, not after %q", p.short(), name)
		}
	}
}

var whereToStart = regexp.MustCompile(`(?i)start\s+at|where\s+to\s+start`)

// undocumented says what is missing in the package comment of these files.
func undocumented(t *testing.T, source map[string][]byte) string {
	t.Helper()
	var docs []string
	for name, text := range source {
		tree, err := parser.ParseFile(token.NewFileSet(), name, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if doc := strings.TrimSpace(tree.Doc.Text()); doc != "" && !ast.IsGenerated(tree) {
			docs = append(docs, doc)
		} else if ast.IsGenerated(tree) {
			return "" // the generator's test looks at what it writes
		}
	}
	switch {
	case len(docs) == 0:
		return "no package comment: say what it is, what it is not, and where to start"
	case len(docs) > 1:
		return "several package comments: keep one"
	case len(source) > 3 && !whereToStart.MatchString(docs[0]):
		return "the package comment does not say where to start (\"Start at ...\")"
	}
	return ""
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Standard,Doc,GoFiles,Imports,TestImports,XTestImports", module+"...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("decode go list's output: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}
