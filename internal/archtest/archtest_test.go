package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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
}

// short returns the import path inside the module.
func (p pkg) short() string { return strings.TrimPrefix(p.ImportPath, module) }

func TestDependencyRules(t *testing.T) {
	for _, p := range list(t) {
		for _, rule := range rules {
			if !rule.covers(p.short()) {
				continue
			}
			for _, imp := range p.Imports {
				if rule.forbids(imp) {
					t.Errorf("%s imports %s: %s", p.short(), strings.TrimPrefix(imp, module), rule.reason)
				}
			}
		}
	}
}

// TestPureFiles keeps the thinking free of side effects: files named compile.go and plan.go take data and return data.
func TestPureFiles(t *testing.T) {
	for _, p := range list(t) {
		for _, name := range p.GoFiles {
			if name != "compile.go" && name != "plan.go" {
				continue
			}
			file := filepath.Join(p.Dir, name)
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, imp := range tree.Imports {
				path := strings.Trim(imp.Path.Value, `"`)
				if why, bad := impure[strings.TrimPrefix(path, module)]; bad {
					t.Errorf("%s/%s imports %s: %s", p.short(), name, path, why)
				}
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(source, []byte("time.Now(")) {
				t.Errorf("%s/%s calls time.Now: the time is an argument of a pure function", p.short(), name)
			}
		}
	}
}

func TestEveryPackageHasADocComment(t *testing.T) {
	for _, p := range list(t) {
		if len(p.GoFiles) > 0 && strings.TrimSpace(p.Doc) == "" {
			t.Errorf("%s has no package comment: say what it is, what it is not, and where to start", p.short())
		}
	}
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Standard,Doc,GoFiles,Imports", module+"...")
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
