package proxy

import (
	"fmt"
	"strings"
)

// quote writes a word of a configuration line so that HAProxy reads exactly s: bare where that is safe, else in single
// quotes, inside which nothing is special, with what those cannot hold (quotes, line ends) escaped between them.
func quote(s string) string {
	if s != "" && strings.IndexFunc(s, isSpecial) < 0 {
		return s
	}
	if s == "" {
		return "''"
	}
	var b strings.Builder
	quoted := false
	toggle := func(on bool) {
		if on != quoted {
			b.WriteByte('\'')
			quoted = on
		}
	}
	for i := range len(s) {
		c := s[i]
		toggle(!needsEscape(c))
		switch {
		case !needsEscape(c):
			b.WriteByte(c)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\n':
			b.WriteString(`\n`)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	toggle(false)
	return b.String()
}

func isSpecial(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("_-./:,=+^*@%[]()|", c)
}

// needsEscape reports whether a byte cannot stand in single quotes.
func needsEscape(c byte) bool { return c < ' ' || c == '\'' || c >= 0x7f }

// literal escapes text for a place where HAProxy expands %[...] and %name.
func literal(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// wildcard turns a pattern with * and ? into a regular expression for the whole text.
func wildcard(pattern string) string {
	return "^" + wildcardBody(pattern, ".", noEscapes) + "$"
}

// hasWildcard reports whether the pattern needs an expression at all.
func hasWildcard(pattern string) bool { return strings.ContainsAny(pattern, "*?") }

type escapes bool

const (
	noEscapes        escapes = false
	backslashEscapes escapes = true
)

// wildcardBody translates a pattern; one is the expression that stands for any one character.
func wildcardBody(pattern, one string, esc escapes) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		if c == '\\' && esc == backslashEscapes && i+1 < len(pattern) && strings.IndexByte(`*?\`, pattern[i+1]) >= 0 {
			i++
			writeEscaped(&b, pattern[i])
			continue
		}
		switch c {
		case '*':
			b.WriteString(one + "*")
		case '?':
			b.WriteString(one)
		default:
			writeEscaped(&b, c)
		}
	}
	return b.String()
}

func writeEscaped(b *strings.Builder, c byte) {
	if strings.IndexByte(`\.+*?()|[]{}^$`, c) >= 0 {
		b.WriteByte('\\')
	}
	b.WriteByte(c)
}

// queryPattern returns the expression that finds one parameter in a query string.
func queryPattern(q Query) string {
	const one = "[^&]"
	value := wildcardBody(q.Value, one, backslashEscapes)
	key := "([^&=]*=)?"
	if q.Key != "" {
		key = wildcardBody(q.Key, "[^&=]", backslashEscapes) + "="
	}
	return "(^|&)" + key + value + "(&|$)"
}
