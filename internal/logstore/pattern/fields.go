package pattern

import (
	"strconv"
	"strings"
)

// field is one element of [a, b = 1, ..., c].
type field struct {
	cond expr[value] // nil: anything
}

// parseFields reads a pattern of space-delimited fields.
func parseFields(text string) (*Pattern, error) {
	s := &scanner{rest: text}
	s.accept("[")
	var before, after []field
	ellipsis := false
	for {
		if s.accept("...") {
			if ellipsis {
				return nil, s.errorf("only one '...' is allowed")
			}
			ellipsis = true
		} else {
			f, err := parseField(s)
			if err != nil {
				return nil, err
			}
			if ellipsis {
				after = append(after, f)
			} else {
				before = append(before, f)
			}
		}
		if s.accept("]") {
			break
		}
		if !s.accept(",") {
			return nil, s.errorf("',' or ']' expected")
		}
	}
	if s.skip(); s.rest != "" {
		return nil, s.errorf("nothing may follow ']'")
	}
	return &Pattern{match: func(message string) bool {
		parts := splitFields(message)
		if len(parts) < len(before)+len(after) || !ellipsis && len(parts) != len(before) {
			return false
		}
		return matchFields(before, parts) && matchFields(after, parts[len(parts)-len(after):])
	}}, nil
}

func matchFields(fields []field, parts []string) bool {
	for i, f := range fields {
		if f.cond == nil {
			continue
		}
		v := value{exists: true, simple: true, text: parts[i]}
		if n, err := strconv.ParseFloat(parts[i], 64); err == nil {
			v.number = &n
		}
		if !f.cond(v) {
			return false
		}
	}
	return true
}

// parseField reads a name, alone or in a condition such as `status = 4* && status != 404`.
func parseField(s *scanner) (field, error) {
	start := s.rest
	name := fieldName(s)
	if s.skip(); name != "" && s.rest != "" && (s.rest[0] == ',' || s.rest[0] == ']') {
		return field{}, nil
	}
	s.rest = start
	cond, err := parseOr(s, 0, func() (expr[value], error) {
		n := fieldName(s)
		if n == "" {
			return nil, s.errorf("name of a field expected")
		}
		if name == "" {
			name = n
		}
		if n != name {
			return nil, s.errorf("a condition speaks of its own field only: '%s', not '%s'", name, n)
		}
		c, err := parseComparison(s, ",]")
		if err != nil {
			return nil, err
		}
		return func(v value) bool { return c([]value{v}) }, nil
	})
	return field{cond: cond}, err
}

func fieldName(s *scanner) string {
	s.skip()
	n := 0
	for n < len(s.rest) && (s.rest[n] == '_' || s.rest[n] == '-' || isAlnum(s.rest[n])) {
		n++
	}
	name := s.rest[:n]
	s.rest = s.rest[n:]
	return name
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// splitFields splits a message at white space; what is in brackets or quotation marks is one field, without them.
func splitFields(message string) []string {
	var parts []string
	for rest := strings.TrimSpace(message); rest != ""; rest = strings.TrimLeft(rest, " \t\r\n") {
		closing := byte(0)
		switch rest[0] {
		case '[':
			closing = ']'
		case '"':
			closing = '"'
		}
		if closing != 0 {
			if end := strings.IndexByte(rest[1:], closing); end >= 0 {
				parts, rest = append(parts, rest[1:end+1]), rest[end+2:]
				continue
			}
		}
		end := strings.IndexAny(rest, " \t\r\n")
		if end < 0 {
			end = len(rest)
		}
		parts, rest = append(parts, rest[:end]), rest[end:]
	}
	return parts
}
