package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDecisionsAreNumbered keeps docs/decisions uniform: 0007-some-words.md, headed "# 7. ...", without gaps, and in the index.
func TestDecisionsAreNumbered(t *testing.T) {
	docs := filepath.Join(moduleRoot(t), "docs")
	entries, err := os.ReadDir(filepath.Join(docs, "decisions"))
	if err != nil {
		t.Fatal(err)
	}
	index := read(t, filepath.Join(docs, "README.md"))
	for i, e := range entries {
		if why := misfiled(i+1, e.Name(), read(t, filepath.Join(docs, "decisions", e.Name())), index); why != "" {
			t.Errorf("docs/decisions/%s: %s", e.Name(), why)
		}
	}
	designs, err := filepath.Glob(filepath.Join(docs, "design", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range designs {
		if link := "design/" + filepath.Base(d); !strings.Contains(index, "("+link+")") {
			t.Errorf("docs/%s is not in docs/README.md", link)
		}
	}
}

// misfiled says what is wrong with the nth decision.
func misfiled(n int, name, text, index string) string {
	switch title, _, _ := strings.Cut(text, "\n"); {
	case !strings.HasPrefix(name, fmt.Sprintf("%04d-", n)):
		return fmt.Sprintf("the name does not begin with %04d-: decisions are numbered without gaps", n)
	case !strings.HasPrefix(title, fmt.Sprintf("# %d. ", n)):
		return fmt.Sprintf("the heading is %q, not \"# %d. ...\"", title, n)
	case !strings.Contains(text, "**Decision.**"):
		return "the decision is not said in a paragraph that begins with **Decision.**"
	case !strings.Contains(index, fmt.Sprintf("%d. [%s](decisions/%s)", n, strings.TrimPrefix(title, fmt.Sprintf("# %d. ", n)), name)):
		return "it is not in docs/README.md, with its number and its heading"
	}
	return ""
}

// TestDocsNameWhatExists keeps the documents honest: a path in backticks is there, and a type of the glossary is declared.
func TestDocsNameWhatExists(t *testing.T) {
	root := moduleRoot(t)
	exists := func(path string) bool {
		_, err := os.Stat(filepath.Join(root, path))
		return err == nil
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, filepath.Join(root, "CONTRIBUTING.md"), filepath.Join(root, "README.md"), filepath.Join(root, "docs", "glossary.md")) {
		for _, path := range deadPaths(read(t, page), exists) {
			t.Errorf("%s names %s, which is not there", strings.TrimPrefix(page, root+"/"), path)
		}
	}
	declared := map[string]bool{}
	for file, source := range goFiles(t) {
		if rest, ok := strings.CutPrefix(filepath.Dir(file), "internal/"); ok {
			for _, m := range declaration.FindAllSubmatch(source, -1) {
				declared[rest+"."+string(slices.Concat(m[1], m[2]))] = true
			}
		}
	}
	for _, name := range undeclared(read(t, filepath.Join(root, "docs", "glossary.md")), declared) {
		t.Errorf("docs/glossary.md names %s, which is not declared", name)
	}
}

var (
	pathInText  = regexp.MustCompile("`((?:internal|cmd|test|docs|examples)/[A-Za-z0-9_./-]+)`")
	declaration = regexp.MustCompile(`(?m)^(?:type|func|var) ([A-Z]\w*)|^\t([A-Z]\w*) +=? ?\S`)
	typeInText  = regexp.MustCompile("`((?:model|container|dns|logstore|registry)\\.[A-Z]\\w*)`")
)

// deadPaths are the paths in backticks that do not exist.
func deadPaths(text string, exists func(string) bool) (out []string) {
	for _, m := range pathInText.FindAllStringSubmatch(text, -1) {
		if !exists(m[1]) {
			out = append(out, m[1])
		}
	}
	return out
}

// undeclared are the names of types and functions in backticks that the packages do not declare.
func undeclared(text string, declared map[string]bool) (out []string) {
	for _, m := range typeInText.FindAllStringSubmatch(text, -1) {
		if !declared[m[1]] {
			out = append(out, m[1])
		}
	}
	return out
}

func TestDocRulesOfPagesBite(t *testing.T) {
	index := "7. [Some words](decisions/0007-some.md)"
	cases := []struct{ name, text, want string }{
		{"0007-some.md", "# 7. Some words\n\n**Decision.** Yes.", ""},
		{"some.md", "# 7. Some words\n\n**Decision.** Yes.", "does not begin with 0007-"},
		{"0008-some.md", "# 8. Some words\n\n**Decision.** Yes.", "does not begin with 0007-"},
		{"0007-some.md", "# Some words\n\n**Decision.** Yes.", "heading"},
		{"0007-some.md", "# 7. Some words\n\nYes.", "begins with **Decision.**"},
		{"0007-some.md", "# 7. Other words\n\n**Decision.** Yes.", "not in docs/README.md"},
	}
	for _, c := range cases {
		if got := misfiled(7, c.name, c.text, index); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s %q: got %q, want %q", c.name, c.text, got, c.want)
		}
	}
	none := func(string) bool { return false }
	if got := deadPaths("see `internal/gone/a.go` and `internal/api/<service>/x.go`", none); !slices.Equal(got, []string{"internal/gone/a.go"}) {
		t.Errorf("dead paths: %q", got)
	}
	if got := undeclared("| `model.VPC` | `model.Gone` |", map[string]bool{"model.VPC": true}); !slices.Equal(got, []string{"model.Gone"}) {
		t.Errorf("undeclared: %q", got)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
