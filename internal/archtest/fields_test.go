package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryInputFieldIsRead keeps the promise that nothing is accepted which is not acted on: each field that a client
// can send has to be read by its handler's package, be refused by its `only` list, or be in unread with its reason. A
// field that is read is not yet acted on, but one that is not read certainly is not.
func TestEveryInputFieldIsRead(t *testing.T) {
	exports := exportData(t)
	used := map[string]bool{}
	for _, service := range []string{"cfn", "ec2", "ecr", "ecs", "elbv2", "iam", "logs", "sts"} {
		t.Run(service, func(t *testing.T) {
			h := checkHandlers(t, service, exports)
			for _, missing := range h.unread() {
				key := service + " " + missing
				structure, _, _ := strings.Cut(key, ".")
				if _, ok := unread[structure+".*"]; ok && h.isUnread(missing) {
					used[structure+".*"] = true
					continue
				}
				if _, ok := unread[key]; ok {
					used[key] = true
					continue
				}
				t.Errorf("%s: no handler reads this field: refuse it when it is set, or write down in internal/archtest/fields.go why it may be ignored", key)
			}
		})
	}
	for key := range unread {
		if !used[key] {
			t.Errorf("%s is in unread of internal/archtest/fields.go, but it is read or refused now: take it out", key)
		}
	}
}

// handlers is a type-checked package of internal/api and what it does with its wire types.
type handlers struct {
	pkg  *types.Package      // of the wire types
	read map[string]bool     // "Type.Field" that is selected, other than to be assigned
	only map[string][]string // input type -> the fields that its handler lets through
}

func checkHandlers(t *testing.T, service string, exports map[string]string) *handlers {
	t.Helper()
	dir := filepath.Join("..", "api", service)
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		file, ok := exports[path]
		if !ok {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(file)
	})
	info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}, Types: map[ast.Expr]types.TypeAndValue{}}
	checked, err := (&types.Config{Importer: imports}).Check(module+"internal/api/"+service, fset, files, info)
	if err != nil {
		t.Fatal(err)
	}
	h := &handlers{read: map[string]bool{}, only: map[string][]string{}}
	wire := module + "internal/awsapi/" + service + "api"
	for _, imported := range checked.Imports() {
		if imported.Path() == wire {
			h.pkg = imported
		}
	}
	if h.pkg == nil {
		t.Fatalf("%s does not import %s", service, wire)
	}
	for _, file := range files {
		h.collect(file, info)
	}
	return h
}

// collect notes which wire fields a file reads and which inputs it passes to `only`.
func (h *handlers) collect(file *ast.File, info *types.Info) {
	assigned := map[ast.Expr]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				assigned[left] = true
			}
		case *ast.SelectorExpr:
			if s := info.Selections[n]; s != nil && s.Kind() == types.FieldVal && !assigned[n] {
				if name := wireName(s.Recv(), h.pkg); name != "" {
					h.read[name+"."+n.Sel.Name] = true
				}
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "only" && len(n.Args) > 0 {
				name := wireName(info.Types[n.Args[0]].Type, h.pkg)
				allowed := []string{}
				for _, arg := range n.Args[1:] {
					if lit, ok := arg.(*ast.BasicLit); ok {
						if s, err := strconv.Unquote(lit.Value); err == nil {
							allowed = append(allowed, s)
						}
					}
				}
				h.only[name] = allowed
			}
		}
		return true
	})
}

// wireName returns the name of a type of the wire package, or "".
func wireName(t types.Type, wire *types.Package) string {
	if t == nil {
		return ""
	}
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil || named.Obj().Pkg().Path() != wire.Path() {
		return ""
	}
	return named.Obj().Name()
}

// unread returns the fields that an input of the interface API reaches and that nothing reads or refuses.
func (h *handlers) unread() []string {
	api := h.pkg.Scope().Lookup("API").Type().Underlying().(*types.Interface)
	missing := map[string]bool{}
	seen := map[string]bool{}
	var walk func(t types.Type)
	walk = func(t types.Type) {
		switch u := t.(type) {
		case *types.Pointer:
			walk(u.Elem())
			return
		case *types.Slice:
			walk(u.Elem())
			return
		case *types.Map:
			walk(u.Elem())
			return
		}
		name := wireName(t, h.pkg)
		structure, ok := t.Underlying().(*types.Struct)
		if name == "" || !ok || seen[name] {
			return
		}
		seen[name] = true
		allowed, refuses := h.only[name]
		for i := range structure.NumFields() {
			field := structure.Field(i)
			if refuses && !slices.Contains(allowed, field.Name()) || field.Name() == "DryRun" {
				continue
			}
			if !h.read[name+"."+field.Name()] {
				missing[name+"."+field.Name()] = true
				continue
			}
			walk(field.Type())
		}
	}
	for i := range api.NumMethods() {
		walk(api.Method(i).Type().(*types.Signature).Params().At(1).Type())
	}
	return slices.Sorted(maps.Keys(missing))
}

// isUnread reports whether no field of the structure that a field belongs to is read, but for whether it is enabled.
func (h *handlers) isUnread(field string) bool {
	structure, _, _ := strings.Cut(field, ".")
	for name := range h.read {
		if of, member, _ := strings.Cut(name, "."); of == structure && member != "Enabled" {
			return false
		}
	}
	return true
}

// exportData returns the compiler's export file of every package that the API packages reach.
func exportData(t *testing.T) map[string]string {
	t.Helper()
	// As `make build` builds, so that nothing has to be compiled once more.
	cmd := exec.Command("go", "list", "-export", "-trimpath", "-deps", "-json=ImportPath,Export", module+"internal/api/...")
	cmd.Env, cmd.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	exports := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return exports
		} else if err != nil {
			t.Fatalf("decode go list's output: %v", err)
		}
		if p.Export != "" {
			exports[p.ImportPath] = p.Export
		}
	}
}
