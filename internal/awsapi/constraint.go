package awsapi

import (
	"regexp"
	"strings"
)

// prepare compiles patterns and marks the shapes that hold a constraint somewhere, so that validation skips the rest.
func prepare(shapes []Shape) {
	for i := range shapes {
		s := &shapes[i]
		if s.Pattern != "" {
			s.pattern, _ = CompilePattern(s.Pattern)
		}
		if len(s.Enum) > 0 {
			s.enum = make(map[string]struct{}, len(s.Enum))
			for _, v := range s.Enum {
				s.enum[v] = struct{}{}
			}
		}
		s.constrained = s.Min != nil || s.Max != nil || s.pattern != nil || len(s.Enum) > 0
		for _, m := range s.Members {
			s.constrained = s.constrained || m.Required
		}
	}
	// Shapes may hold each other: repeat until nothing changes.
	for changed := true; changed; {
		changed = false
		for i := range shapes {
			s := &shapes[i]
			if !s.constrained && holdsConstraint(s) {
				s.constrained, changed = true, true
			}
		}
	}
}

func holdsConstraint(s *Shape) bool {
	if s.Elem != nil && s.Elem.constrained {
		return true
	}
	for _, m := range s.Members {
		if m.Shape.constrained {
			return true
		}
	}
	return false
}

// CompilePattern compiles a pattern of a model. Models are written for Java, where a pattern has to match the whole
// string. Look-around does not exist in Go: such patterns are not checked (a test lists them).
func CompilePattern(pattern string) (*regexp.Regexp, error) {
	p := strings.NewReplacer(
		// Java reads a pair of surrogates as one character beyond the basic plane.
		`\uD800\uDC00-\uDBFF\uDFFF`, `\x{10000}-\x{10FFFF}`,
	).Replace(pattern)
	p = javaEscape.ReplaceAllString(p, `\x{$1}`)
	return regexp.Compile(`\A(?:` + p + `)\z`)
}

var javaEscape = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)
