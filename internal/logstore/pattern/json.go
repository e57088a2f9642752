package pattern

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// parseJSON reads { condition }.
func parseJSON(text string) (*Pattern, error) {
	s := &scanner{rest: text}
	s.accept("{")
	e, err := parseOr(s, 0, func() (expr[any], error) {
		path, err := parseSelector(s)
		if err != nil {
			return nil, err
		}
		c, err := parseComparison(s, "}")
		if err != nil {
			return nil, err
		}
		return func(doc any) bool { return c(find(doc, path)) }, nil
	})
	if err != nil {
		return nil, err
	}
	if !s.accept("}") {
		return nil, s.errorf("'}' expected")
	}
	if s.skip(); s.rest != "" {
		return nil, s.errorf("nothing may follow '}'")
	}
	return &Pattern{match: func(message string) bool {
		if i := strings.IndexByte(message, '{'); i < 0 || strings.TrimLeft(message[:i], " \t\r\n") != "" {
			return false
		}
		var doc any
		d := json.NewDecoder(strings.NewReader(message))
		d.UseNumber()
		if err := d.Decode(&doc); err != nil {
			return false
		}
		return e(doc)
	}}, nil
}

// step is one part of a selector: a member's name, an index, or everything (name "*").
type step struct {
	name  string
	index int // when name is empty; -1: all
}

// parseSelector reads $.a.b[0]["c"].d[*].
func parseSelector(s *scanner) ([]step, error) {
	if !s.accept("$") {
		return nil, s.errorf("a selector begins with '$'")
	}
	var path []step
	for {
		switch {
		case strings.HasPrefix(s.rest, "."):
			s.rest = s.rest[1:]
			if strings.HasPrefix(s.rest, "[") {
				continue // $.['name']
			}
			end := strings.IndexAny(s.rest, " \t\r\n.[]()=!<>&|{}\"'")
			if end < 0 {
				end = len(s.rest)
			}
			if end == 0 {
				return nil, s.errorf("a name has to follow '.'")
			}
			path, s.rest = append(path, step{name: s.rest[:end]}), s.rest[end:]
		case strings.HasPrefix(s.rest, "["):
			end := strings.IndexByte(s.rest, ']')
			if end < 0 {
				return nil, s.errorf("']' expected")
			}
			inner := strings.TrimSpace(s.rest[1:end])
			st := step{index: -1}
			switch n, err := strconv.Atoi(inner); {
			case inner == "*":
			case err == nil && n >= 0:
				st.index = n
			case len(inner) > 2 && (inner[0] == '"' || inner[0] == '\'') && inner[len(inner)-1] == inner[0]:
				st.name = inner[1 : len(inner)-1]
			default:
				return nil, s.errorf("'%s' is no index", inner)
			}
			path, s.rest = append(path, st), s.rest[end+1:]
		default:
			if len(path) == 0 {
				return nil, s.errorf("a name has to follow '$'")
			}
			return path, nil
		}
	}
}

// find returns the values at a path.
func find(doc any, path []step) []value {
	if len(path) == 0 {
		return []value{valueOf(doc)}
	}
	st, rest := path[0], path[1:]
	switch d := doc.(type) {
	case map[string]any:
		if st.name == "*" {
			var all []value
			for _, v := range d {
				all = append(all, find(v, rest)...)
			}
			return all
		}
		if v, ok := d[st.name]; ok && st.name != "" {
			return find(v, rest)
		}
	case []any:
		switch {
		case st.name != "":
		case st.index < 0:
			var all []value
			for _, v := range d {
				all = append(all, find(v, rest)...)
			}
			return all
		case st.index < len(d):
			return find(d[st.index], rest)
		}
	}
	return nil
}

func valueOf(doc any) value {
	switch d := doc.(type) {
	case nil:
		return value{exists: true, isNull: true}
	case bool:
		return value{exists: true, isBool: true, truth: d, simple: true, text: fmt.Sprint(d)}
	case string:
		return value{exists: true, simple: true, text: d}
	case json.Number:
		v := value{exists: true, simple: true, text: d.String()}
		if n, err := d.Float64(); err == nil {
			v.number = &n
		}
		return v
	}
	return value{exists: true}
}
