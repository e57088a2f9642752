// Package pattern reads and applies the filter patterns of CloudWatch Logs.
//
// Three kinds: words (`ERROR -"timed out"`, `?a ?b`), conditions on JSON (`{ $.status = 5* && $.user.id IS NULL }`) and
// conditions on space-delimited fields (`[ip, ..., status >= 500, bytes]`); each takes regular expressions between percent
// signs. It is pure and matches one message at a time. Start at [Parse].
package pattern

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pattern decides which messages are wanted.
type Pattern struct {
	match func(message string) bool
}

// Match reports whether the message is wanted.
func (p *Pattern) Match(message string) bool { return p.match(message) }

const maxPattern = 1024

// Parse reads a filter pattern. Its errors are for the user.
func Parse(text string) (*Pattern, error) {
	if utf8.RuneCountInString(text) > maxPattern {
		return nil, syntaxErrorf("filter pattern is longer than %d characters", maxPattern)
	}
	trimmed := strings.TrimSpace(text)
	switch {
	case trimmed == "" || trimmed == `""`:
		return &Pattern{match: func(string) bool { return true }}, nil
	case strings.HasPrefix(trimmed, "{"):
		return parseJSON(trimmed)
	case strings.HasPrefix(trimmed, "["):
		return parseFields(trimmed)
	}
	return parseTerms(trimmed)
}

// SyntaxError says what is wrong with a pattern, in words for its author.
type SyntaxError struct{ Message string }

func (e *SyntaxError) Error() string { return e.Message }

func syntaxErrorf(format string, args ...any) error {
	return &SyntaxError{Message: fmt.Sprintf(format, args...)}
}

// term is a word, phrase or regular expression.
type term func(message string) bool

// parseTerms reads unstructured patterns: all plain terms have to occur, excluded ones must not; terms with a question mark count only when there is
// nothing else, and then one of them is enough.
func parseTerms(text string) (*Pattern, error) {
	var all, none, some []term
	for rest := text; rest != ""; rest = strings.TrimLeftFunc(rest, unicode.IsSpace) {
		list := &all
		switch rest[0] {
		case '-':
			list, rest = &none, rest[1:]
		case '?':
			list, rest = &some, rest[1:]
		}
		t, tail, err := parseTerm(rest)
		if err != nil {
			return nil, err
		}
		*list, rest = append(*list, t), tail
	}
	return &Pattern{match: func(message string) bool {
		for _, t := range none {
			if t(message) {
				return false
			}
		}
		for _, t := range all {
			if !t(message) {
				return false
			}
		}
		if len(all) > 0 || len(none) > 0 || len(some) == 0 {
			return true
		}
		for _, t := range some {
			if t(message) {
				return true
			}
		}
		return false
	}}, nil
}

func parseTerm(s string) (t term, rest string, err error) {
	switch {
	case strings.HasPrefix(s, `"`):
		phrase, rest, err := quoted(s)
		if err != nil {
			return nil, "", err
		}
		return func(m string) bool { return strings.Contains(m, phrase) }, rest, nil
	case strings.HasPrefix(s, "%"):
		re, rest, err := regex(s)
		if err != nil {
			return nil, "", err
		}
		return re.MatchString, rest, nil
	}
	word := s
	if i := strings.IndexFunc(s, unicode.IsSpace); i >= 0 {
		word, rest = s[:i], s[i:]
	}
	if word == "" {
		return nil, "", syntaxErrorf("term is missing in filter pattern")
	}
	for _, c := range word {
		if c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return nil, "", syntaxErrorf("Invalid character(s) in term '%s'", word)
		}
	}
	return func(m string) bool { return strings.Contains(m, word) }, rest, nil
}

// quoted reads a string in double quotes, with backslash escapes, and returns what follows it.
func quoted(s string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			if s[i] != '"' && s[i] != '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
		case c == '"':
			return b.String(), s[i+1:], nil
		default:
			b.WriteByte(c)
		}
	}
	return "", "", syntaxErrorf("quotation mark is not closed in filter pattern")
}

// regex reads %expression% and returns what follows it.
func regex(s string) (re *regexp.Regexp, rest string, err error) {
	end := strings.IndexByte(s[1:], '%')
	if end < 0 {
		return nil, "", syntaxErrorf("regular expression is not closed in filter pattern")
	}
	re, err = regexp.Compile(s[1 : end+1])
	if err != nil {
		return nil, "", syntaxErrorf("Invalid regular expression in filter pattern: %v", err)
	}
	return re, s[end+2:], nil
}
