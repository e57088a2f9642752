package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFilesAreSmall keeps files readable in one sitting. Generated code is as long as AWS's models are.
func TestFilesAreSmall(t *testing.T) {
	for file, source := range goFiles(t) {
		if n := bytes.Count(source, []byte("\n")); n > longest && !strings.HasPrefix(file, "internal/awsapi/") {
			t.Errorf("%s has %d lines, more than %d: split it by noun or by stage", file, n, longest)
		}
	}
}

// TestSource holds each package against the rules that need its syntax: no init, no variables that change, no calls of the
// clock in pure files.
func TestSource(t *testing.T) {
	for _, p := range list(t) {
		if below(p.short(), []string{"internal", "cmd"}) {
			set := token.NewFileSet()
			files := map[string]*ast.File{}
			for _, name := range p.GoFiles {
				tree, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
				if err != nil {
					t.Fatal(err)
				}
				files[p.short()+"/"+name] = tree
			}
			for _, fault := range faults(set, files) {
				t.Error(fault)
			}
		}
	}
}

// faults says what the files of one package break.
func faults(set *token.FileSet, files map[string]*ast.File) (out []string) {
	say := func(at token.Pos, format string, args ...any) {
		p := set.Position(at)
		out = append(out, fmt.Sprintf("%s:%d: %s", filepath.Base(p.Filename), p.Line, fmt.Sprintf(format, args...)))
	}
	// Imports are not loaded, so types of other packages are unknown; which name means which variable is known all the same.
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: nil, Error: func(error) {}}
	pkg, _ := config.Check("p", set, slices.Collect(values(files)), info)
	global := func(e ast.Expr) (string, bool) {
		v, ok := info.Uses[root(e)].(*types.Var)
		return nameOf(v), ok && v.Parent() == pkg.Scope()
	}
	for name, file := range files {
		pure := isPure(name)
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					say(d.Pos(), "init runs by import: call it from a constructor")
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR && isLock(v.Type) {
						say(v.Pos(), "variable %s guards global state: constructors take what they need", v.Names[0].Name)
					}
				}
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, e := range n.Lhs {
					if name, ok := global(e); ok && n.Tok != token.DEFINE {
						say(n.Pos(), "variable %s changes, which is global state: constructors take what they need", name)
					}
				}
			case *ast.IncDecStmt:
				if name, ok := global(n.X); ok {
					say(n.Pos(), "variable %s changes, which is global state: constructors take what they need", name)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "delete" || f.Name == "clear") && len(n.Args) > 0 {
					if name, ok := global(n.Args[0]); ok {
						say(n.Pos(), "variable %s changes, which is global state: constructors take what they need", name)
					}
				}
				if f, ok := n.Fun.(*ast.SelectorExpr); ok && pure {
					if x, ok := f.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(wallClock, f.Sel.Name) {
						say(n.Pos(), "time.%s in a pure file: the time is an argument of a pure function", f.Sel.Name)
					}
				}
			}
			return true
		})
	}
	slices.Sort(out)
	return out
}

// root is the variable that an assignment to e changes.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func nameOf(v *types.Var) string {
	if v == nil {
		return ""
	}
	return v.Name()
}

// isLock reports whether a type belongs to sync or sync/atomic: nothing else is declared with them but what changes.
func isLock(e ast.Expr) bool {
	if i, ok := e.(*ast.IndexExpr); ok {
		e = i.X
	}
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && (x.Name == "sync" || x.Name == "atomic")
}

func values[K comparable, V any](m map[K]V) func(func(V) bool) {
	return func(yield func(V) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// goFiles has the Go source files of the module, by path from its root, tests too.
func goFiles(t *testing.T) map[string][]byte {
	t.Helper()
	root := moduleRoot(t)
	out := map[string][]byte{}
	for _, top := range []string{"cmd", "internal", "test", "examples"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" {
				return err
			}
			short, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			out[short], err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}
