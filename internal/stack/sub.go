package stack

import (
	"regexp"
	"strings"
)

var subName = regexp.MustCompile(`^[A-Za-z0-9_.:]+$`)

// subPart is a piece of the text of Fn::Sub: literal text, or the name of a variable.
type subPart struct {
	text     string
	variable bool
}

// parseSub splits the text of Fn::Sub. ${!Literal} gives ${Literal}, ${Name} is a variable; a dollar alone is text.
func parseSub(text string) (parts []subPart, bad string, ok bool) {
	literal := func(t string) {
		if t == "" {
			return
		}
		if n := len(parts); n > 0 && !parts[n-1].variable {
			parts[n-1].text += t
			return
		}
		parts = append(parts, subPart{text: t})
	}
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			literal(text)
			return parts, "", true
		}
		literal(text[:i])
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			literal(text[i:])
			return parts, "", true
		}
		name := text[i+2 : i+end]
		text = text[i+end+1:]
		if rest, escaped := strings.CutPrefix(name, "!"); escaped {
			literal("${" + rest + "}")
			continue
		}
		name = strings.TrimSpace(name)
		if !subName.MatchString(name) {
			return nil, name, false
		}
		parts = append(parts, subPart{text: name, variable: true})
	}
}

const (
	subArguments = "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string"
	subNames     = "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons"
)

// subParts returns the pieces of Fn::Sub's text and its map of variables.
func subParts(arg *Node, path string) ([]subPart, *Node, error) {
	text, vars := arg, (*Node)(nil)
	if arg.Kind == List {
		if len(arg.Items) != 2 || arg.Items[1].Kind != Map {
			return nil, nil, errorf(arg, path, subArguments)
		}
		text, vars = arg.Items[0], arg.Items[1]
		if _, _, isFunction := vars.Function(); isFunction {
			return nil, nil, errorf(arg, path, subArguments)
		}
	}
	if !text.IsScalar() {
		return nil, nil, errorf(arg, path, subArguments)
	}
	parts, _, ok := parseSub(text.Text)
	if !ok {
		return nil, nil, errorf(text, path, subNames)
	}
	return parts, vars, nil
}

// sub evaluates Fn::Sub.
func (s *Scope) sub(arg *Node, path string) (any, error) {
	parts, vars, err := subParts(arg, path)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	var unknown *Unknown
	for _, part := range parts {
		text := part.text
		if part.variable {
			v, err := s.variable(arg, part.text, vars, path)
			if err != nil {
				return nil, err
			}
			if u, ok := v.(Unknown); ok {
				unknown = &u
				continue
			}
			t, ok := Text(v)
			if !ok {
				return nil, errorf(arg, path, "Template error: Fn::Sub: the value of ${%s} is not a string", part.text)
			}
			text = t
		}
		if err := s.spend(arg, path, len(text)); err != nil {
			return nil, err
		}
		out.WriteString(text)
	}
	if unknown != nil {
		return *unknown, nil
	}
	return out.String(), nil
}

// variable evaluates one variable of Fn::Sub: of its map, a parameter or resource, or an attribute.
func (s *Scope) variable(arg *Node, name string, vars *Node, path string) (any, error) {
	if own := vars.Get(name); own != nil {
		return s.eval(own, join(path, "1/"+name))
	}
	if resource, attribute, dotted := strings.Cut(name, "."); dotted {
		if s.Template.Resource(resource) == nil {
			return nil, s.unresolved(arg, resource, path)
		}
		return s.att(arg, resource, attribute, path)
	}
	return s.ref(arg, name, path)
}
