package pattern

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// value is a field of a message, as a comparison sees it.
type value struct {
	exists bool
	isNull bool
	isBool bool
	truth  bool
	number *float64
	text   string
	simple bool // not an object or a list
}

// comparison decides about the values that its selector finds.
type comparison func(values []value) bool

// expr is a condition on a message that was taken apart into T.
type expr[T any] func(t T) bool

// scanner takes tokens from a pattern.
type scanner struct{ rest string }

func (s *scanner) skip() { s.rest = strings.TrimLeft(s.rest, " \t\r\n") }

// accept takes the token if it comes next.
func (s *scanner) accept(token string) bool {
	s.skip()
	if rest, ok := strings.CutPrefix(s.rest, token); ok {
		s.rest = rest
		return true
	}
	return false
}

// word takes a keyword, in any case, if it comes next.
func (s *scanner) word(w string) bool {
	s.skip()
	if len(s.rest) < len(w) || !strings.EqualFold(s.rest[:len(w)], w) {
		return false
	}
	if len(s.rest) > len(w) && !strings.ContainsRune(" \t\r\n)}],&|", rune(s.rest[len(w)])) {
		return false
	}
	s.rest = s.rest[len(w):]
	return true
}

func (s *scanner) errorf(format string, args ...any) error {
	return syntaxErrorf("Invalid filter pattern at '%s': %s", s.rest, fmt.Sprintf(format, args...))
}

// maxDepth bounds parentheses.
const maxDepth = 50

// parseOr reads conditions joined by || and &&, with parentheses; && binds stronger.
func parseOr[T any](s *scanner, depth int, leaf func() (expr[T], error)) (expr[T], error) {
	if depth > maxDepth {
		return nil, s.errorf("too many parentheses")
	}
	left, err := parseAnd(s, depth, leaf)
	for err == nil && s.accept("||") {
		var right expr[T]
		right, err = parseAnd(s, depth, leaf)
		l := left
		left = func(t T) bool { return l(t) || right(t) }
	}
	return left, err
}

func parseAnd[T any](s *scanner, depth int, leaf func() (expr[T], error)) (expr[T], error) {
	operand := func() (expr[T], error) {
		if !s.accept("(") {
			return leaf()
		}
		e, err := parseOr(s, depth+1, leaf)
		if err == nil && !s.accept(")") {
			err = s.errorf("')' expected")
		}
		return e, err
	}
	left, err := operand()
	for err == nil && s.accept("&&") {
		var right expr[T]
		right, err = operand()
		l := left
		left = func(t T) bool { return l(t) && right(t) }
	}
	return left, err
}

// operators, the longer first.
var operators = []string{"!=", "<=", ">=", "=", "<", ">"}

// parseComparison reads an operator and what it compares with.
func parseComparison(s *scanner, stop string) (comparison, error) {
	if s.word("IS") {
		switch {
		case s.word("NULL"):
			return func(vs []value) bool { return any1(vs, func(v value) bool { return v.isNull }) }, nil
		case s.word("TRUE"):
			return func(vs []value) bool { return any1(vs, func(v value) bool { return v.isBool && v.truth }) }, nil
		case s.word("FALSE"):
			return func(vs []value) bool { return any1(vs, func(v value) bool { return v.isBool && !v.truth }) }, nil
		}
		return nil, s.errorf("NULL, TRUE or FALSE expected")
	}
	if s.word("NOT") {
		if !s.word("EXISTS") {
			return nil, s.errorf("EXISTS expected")
		}
		return func(vs []value) bool { return !any1(vs, func(value) bool { return true }) }, nil
	}
	for _, op := range operators {
		if s.accept(op) {
			return parseOperand(s, op, stop)
		}
	}
	return nil, s.errorf("operator expected")
}

func any1(vs []value, f func(value) bool) bool {
	for _, v := range vs {
		if v.exists && f(v) {
			return true
		}
	}
	return false
}

// parseOperand reads a quoted string, a regular expression, a number, or a word with wildcards.
func parseOperand(s *scanner, op, stop string) (comparison, error) {
	s.skip()
	var equal func(value) bool
	var number *float64
	switch {
	case strings.HasPrefix(s.rest, `"`):
		text, rest, err := quoted(s.rest)
		if err != nil {
			return nil, err
		}
		s.rest, equal = rest, wildcard(text)
	case strings.HasPrefix(s.rest, "%"):
		re, rest, err := regex(s.rest)
		if err != nil {
			return nil, err
		}
		s.rest, equal = rest, func(v value) bool { return v.simple && re.MatchString(v.text) }
	default:
		end := strings.IndexAny(s.rest, " \t\r\n)&|"+stop)
		if end < 0 {
			end = len(s.rest)
		}
		word := s.rest[:end]
		if word == "" {
			return nil, s.errorf("value expected")
		}
		s.rest, equal = s.rest[end:], wildcard(word)
		if n, err := strconv.ParseFloat(word, 64); err == nil {
			number = &n
			text := equal
			equal = func(v value) bool { return v.number != nil && *v.number == n || text(v) }
		}
	}
	switch op {
	case "=":
		return func(vs []value) bool { return any1(vs, equal) }, nil
	case "!=":
		return func(vs []value) bool { return any1(vs, func(v value) bool { return !equal(v) }) }, nil
	}
	if number == nil {
		return nil, s.errorf("a number has to follow '%s'", op)
	}
	n := *number
	return func(vs []value) bool {
		return any1(vs, func(v value) bool {
			if v.number == nil {
				return false
			}
			switch op {
			case "<":
				return *v.number < n
			case "<=":
				return *v.number <= n
			case ">":
				return *v.number > n
			}
			return *v.number >= n
		})
	}, nil
}

// wildcard compares with a text in which '*' stands for anything.
func wildcard(text string) func(value) bool {
	if !strings.Contains(text, "*") {
		return func(v value) bool { return v.simple && v.text == text }
	}
	parts := strings.Split(text, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	re := regexp.MustCompile(`(?s)^` + strings.Join(parts, ".*") + `$`)
	return func(v value) bool { return v.simple && re.MatchString(v.text) }
}
