package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

func TestSourceRulesBite(t *testing.T) {
	cases := []struct{ name, file, source, want string }{
		{"init", "a.go", `func init() {}`, "init runs by import"},
		{"method named init", "a.go", `type x int; func (x) init() {}`, ""},
		{"counter", "a.go", `var n int; func f() { n++ }`, "variable n changes"},
		{"reassigned", "a.go", `var n []int; func f() { n = append(n, 1) }`, "variable n changes"},
		{"element", "a.go", `var n = map[string]int{}; func f() { n["a"] = 1 }`, "variable n changes"},
		{"field", "a.go", `var n struct{ a int }; func f() { n.a = 1 }`, "variable n changes"},
		{"deleted from", "a.go", `var n = map[string]int{}; func f() { delete(n, "a") }`, "variable n changes"},
		{"shadowed", "a.go", `var n int; func f() { n := 1; n++; _ = n }`, ""},
		{"a table", "a.go", `var n = map[string]int{"a": 1}; func f() int { return n["a"] }`, ""},
		{"lock", "a.go", `import "sync"; var mu sync.Mutex`, "variable mu guards global state"},
		{"atomic", "a.go", `import "sync/atomic"; var p atomic.Pointer[int]`, "variable p guards global state"},
		{"once", "a.go", `import "sync"; var f = sync.OnceValue(func() int { return 1 })`, ""},
		{"clock", "plan.go", `import "time"; func f() time.Time { return time.Now() }`, "time.Now in a pure file"},
		{"timer", "plan_stop.go", `import "time"; func f() { time.Sleep(1) }`, "time.Sleep in a pure file"},
		{"time as data", "compile.go", `import "time"; func f(t time.Time) time.Time { return t.Add(time.Second) }`, ""},
		{"clock elsewhere", "run.go", `import "time"; func f() time.Time { return time.Now() }`, ""},
	}
	for _, c := range cases {
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, c.file, "package p; "+c.source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got := strings.Join(faults(set, map[string]*ast.File{c.file: tree}), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
